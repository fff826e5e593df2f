#include "edge/http/http2_request.h"

#include <openssl/base64.h>
#include <openssl/rand.h>

#include <array>
#include <utility>

#include "base/url.h"
#include "edge/http/http1_codec.h"

namespace latchkey::edge {

void Http2Request::add(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + 4;  // as HTTP/1.1 would write it
  if (too_large_ || size_ > limits_.head || headers_.size() >= limits_.fields) {
    too_large_ = true;
    return;
  }
  if (!name.starts_with(':')) {
    if (name != "cookie") return headers_.add(name, value);
    if (!cookies_.empty()) cookies_ += "; ";
    cookies_ += value;
  } else if (name == ":method") {
    method_ = value;
  } else if (name == ":path") {
    path_ = value;
  } else if (name == ":authority") {
    authority_ = value;
  } else if (name == ":protocol") {
    protocol_ = value;
  }
}

std::optional<Refusal> Http2Request::finish(bool has_body, RequestHead& head) {
  if (too_large_) {
    if (method_.size() + path_.size() > limits_.line) {
      return Refusal{414, "a request line that is too long"};
    }
    return Refusal{431, "more header fields than are taken"};
  }
  if (method_.size() + path_.size() + sizeof "  HTTP/1.1" > limits_.line) {
    return Refusal{414, "a request line that is too long"};
  }
  const bool websocket = method_ == "CONNECT" && same_text(protocol_, "websocket");
  if (method_ == "CONNECT" && !websocket) {
    return Refusal{501, "CONNECT is for WebSockets only"};
  }
  head.method = websocket ? "GET" : std::exchange(method_, {});
  if (const auto why = check_request_line(head.method + " " + path_ + " HTTP/1.1")) return why;
  if (!is_known_method(head.method)) return Refusal{501, "a method that is not known here"};
  if (const auto why = read_authority(head)) return why;
  if (const auto why = read_target(head.method, path_, head.authority, head.target)) return why;
  if (head.target != path_) return Refusal{400, "a path that is none"};
  if (!websocket) {
    if (const auto why = read_body(has_body, head)) return why;
  }
  headers_.remove("content-length");
  if (!cookies_.empty()) headers_.add("cookie", cookies_);
  head.http2 = true;
  head.headers = std::move(headers_);
  if (websocket) become_websocket(head);
  return std::nullopt;
}

// RFC 9113, 8.3.1: where both are there they say the same.
std::optional<Refusal> Http2Request::read_authority(RequestHead& head) {
  const size_t hosts = headers_.count("host");
  if (hosts > 1) return Refusal{400, "more than one Host"};
  const std::string_view host = headers_.get("host");
  if (authority_.empty()) authority_ = host;
  if (hosts == 1 && !same_text(host, authority_)) {
    return Refusal{400, "an authority and a Host that differ"};
  }
  if (!is_authority(authority_)) return Refusal{400, "a malformed authority"};
  headers_.remove("host");
  head.authority = std::move(authority_);
  return std::nullopt;
}

std::optional<Refusal> Http2Request::read_body(bool has_body, RequestHead& head) {
  if (headers_.has("transfer-encoding")) return Refusal{400, "a Transfer-Encoding"};
  if (const auto why = read_framing(headers_, 1, head.body)) return why;
  if (!has_body) {
    if (head.body.length > 0) return Refusal{400, "a body that is missing"};
    return std::nullopt;
  }
  if (head.body.kind == Body::Kind::kNone) head.body.kind = Body::Kind::kChunked;
  head.expect_continue = same_text(headers_.get("expect"), "100-continue");
  return std::nullopt;
}

// RFC 8441, 5.1: what the handshake of HTTP/1.1 has besides, the stream itself says.
void Http2Request::become_websocket(RequestHead& head) {
  std::array<uint8_t, 16> nonce{};
  RAND_bytes(nonce.data(), nonce.size());
  std::array<uint8_t, 25> key{};
  const size_t size = EVP_EncodeBlock(key.data(), nonce.data(), nonce.size());
  head.upgrade = "websocket";
  head.headers.set("sec-websocket-key",
                   std::string_view(reinterpret_cast<const char*>(key.data()), size));
}

bool add_trailer(HeaderList& trailers, size_t& size, const Http1Limits& limits,
                 std::string_view name, std::string_view value) {
  if (name.starts_with(':')) return true;
  size += name.size() + value.size() + 4;
  if (size > limits.head || trailers.size() >= limits.fields) return false;
  if (may_trail(name)) trailers.add(name, value);
  return true;
}

}  // namespace latchkey::edge
