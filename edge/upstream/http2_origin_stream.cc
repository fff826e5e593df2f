#include "edge/upstream/http2_origin_stream.h"

#include <openssl/base64.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "edge/http/http1_body.h"
#include "edge/http/http1_syntax.h"
#include "edge/http/outbox.h"

namespace latchkey::edge {
namespace {

// Of a response, as in HTTP/1.1.
constexpr size_t kMaxHead = 32 << 10;
constexpr size_t kMaxFields = 100;
constexpr unsigned kMaxInterims = 100;
constexpr Millis kUnheardFor{1'000};

// RFC 9113, 8.3.1; RFC 8441, 4 for protocols.
HeaderList fields_of(const RequestHead& head) {
  HeaderList fields;
  const bool upgrade = !head.upgrade.empty();
  fields.add(":method", upgrade ? "CONNECT" : std::string_view(head.method));
  if (upgrade) fields.add(":protocol", head.upgrade);
  fields.add(":scheme", head.scheme.empty() ? "http" : std::string_view(head.scheme));
  fields.add(":authority", head.authority);
  fields.add(":path", head.target);
  for (const auto [name, value] : head.headers) {
    if (!upgrade || name != "sec-websocket-key") fields.add(name, value);
  }
  if (head.expect_continue) fields.add("expect", "100-continue");
  if (!upgrade && head.body.kind == Body::Kind::kLength) {
    fields.add("content-length", std::to_string(head.body.length));
  }
  return fields;
}

// RFC 6455, 4.2.2: what an HTTP/1.1 client waits for.
std::string websocket_accept(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<uint8_t, SHA_DIGEST_LENGTH> hash{};
  SHA1(reinterpret_cast<const uint8_t*>(text.data()), text.size(), hash.data());
  std::array<uint8_t, 29> coded{};
  const size_t size = EVP_EncodeBlock(coded.data(), hash.data(), hash.size());
  return {reinterpret_cast<const char*>(coded.data()), size};
}

}  // namespace

Http2OriginStream::Http2OriginStream(std::shared_ptr<Owner> owner, bool reused)
    : owner_(std::move(owner)), reused_(reused) {}

Http2OriginStream::~Http2OriginStream() {
  if (!closed_ && id_ >= 0) {
    owner_->framing().consume_stream(id_, held_);
    owner_->framing().reset(id_,
                            done_ ? Http2Framing::Reset::kNoError : Http2Framing::Reset::kCancel);
    owner_->send_soon();
  }
  const bool waited =
      id_ >= 0 && !answering_ && !closed_ && owner_->now() - sent_at_ >= kUnheardFor;
  owner_->remove(*this, id_, waited && owner_->heard() == heard_at_);
}

// ---- towards the upstream

void Http2OriginStream::send_head(Handler& handler, const RequestHead& head) {
  handler_ = &handler;
  head_request_ = head.method == "HEAD";
  upgrade_ = !head.upgrade.empty();
  heard_at_ = owner_->heard();
  sent_at_ = owner_->now();
  if (upgrade_) websocket_key_ = head.headers.get("sec-websocket-key");
  const bool body = upgrade_ || head.body.kind == Body::Kind::kChunked ||
                    (head.body.kind == Body::Kind::kLength && head.body.length > 0);
  finished_ = !body;
  id_ = owner_->framing().request(fields_of(head), body);
  CHECK(id_ > 0);  // has_room() said so just now
  owner_->add(id_, *this);
  owner_->send_soon();
}

void Http2OriginStream::send_body(std::string_view bytes) {
  if (bytes.empty() || closed_ || finished_) return;
  out_.append(bytes);
  owner_->framing().resume(id_);
  owner_->send_soon();
}

void Http2OriginStream::finish_request(const HeaderList& trailers) {
  // The handshake of HTTP/1.1 ends here, the stream does not.
  if (finished_ || closed_ || (upgrade_ && !tunnel_)) return;
  finished_ = true;
  request_trailers_ = trailers;
  owner_->framing().resume(id_);
  owner_->send_soon();
}

void Http2OriginStream::finish_tunnel() {
  finish_request({});
}

bool Http2OriginStream::full() {
  was_full_ = was_full_ || out_.size() >= Outbox::kFull;
  return was_full_;
}

Http2Framing::BodyReady Http2OriginStream::body_ready(size_t at_most) const {
  Http2Framing::BodyReady ready;
  ready.bytes = std::min(at_most, out_.size());
  ready.last = finished_ && ready.bytes == out_.size();
  if (ready.last && !request_trailers_.empty()) ready.trailers = &request_trailers_;
  return ready;
}

void Http2OriginStream::move_body(size_t bytes, Outbox& out) {
  out_.move(bytes, out);
}

void Http2OriginStream::tell_writable() {
  was_full_ = false;
  handler_->on_request_writable();
}

// ---- from the upstream

bool Http2OriginStream::take_field(std::string_view name, std::string_view value) {
  if (name == ":status") {
    status_ = value;
    return true;
  }
  if (name.starts_with(':')) return true;
  fields_size_ += name.size() + value.size() + 4;
  if (fields_size_ > kMaxHead || fields_.size() >= kMaxFields) {
    why_not_ = "a response head that is too large";
    return false;
  }
  fields_.add(name, value);
  return true;
}

void Http2OriginStream::refuse(const char* why) {
  why_not_ = why;
  owner_->framing().reset(id_, Http2Framing::Reset::kCancel);  // closed() tells
}

void Http2OriginStream::take_head(bool message_ends) {
  if (done_ || !why_not_.empty()) return;
  const HeaderList fields = std::exchange(fields_, {});
  const std::string status = std::exchange(status_, {});
  fields_size_ = 0;
  if (status.empty()) {  // trailers: their end is the response's
    fields_ = fields;
    return;
  }
  ResponseHead head;
  const char* const end = status.data() + status.size();
  if (std::from_chars(status.data(), end, head.status).ptr != end || head.status < 100 ||
      head.status > 599 || head.status == 101) {
    return refuse("a status that is none");
  }
  head.headers = fields;
  if (head.interim()) {
    if (++interims_ > kMaxInterims) return refuse("too many interim responses");
    return handler_->on_response_interim(head);
  }
  if (read_framing(head.headers, 1, head.body)) return refuse("a malformed Content-Length");
  head.headers.remove("content-length");
  const bool bodiless = head_request_ || head.status == 204 || head.status == 304;
  if (head.body.kind == Body::Kind::kNone && !bodiless) {
    head.body.kind = message_ends ? Body::Kind::kLength : Body::Kind::kChunked;
  }
  answering_ = true;
  if (upgrade_ && head.status == 200) {
    tunnel_ = true;
    head.status = 101;
    head.upgrade = "websocket";
    head.headers.set("sec-websocket-accept", websocket_accept(websocket_key_));
  }
  handler_->on_response_head(head);
}

void Http2OriginStream::take_data(std::string_view bytes) {
  owner_->framing().consume_connection(bytes.size());
  if (done_ || !why_not_.empty()) return owner_->framing().consume_stream(id_, bytes.size());
  delivered_ = true;
  const auto owner = owner_;
  const Http2Framing::StreamId id = id_;
  held_ += bytes.size();
  // What is consumed before it is delivered is still bounded by one frame.
  if (!paused_) owner->framing().consume_stream(id, std::exchange(held_, 0));
  handler_->on_response_body(bytes);
}

void Http2OriginStream::resume_response() {
  if (!std::exchange(paused_, false) || closed_ || held_ == 0) return;
  owner_->framing().consume_stream(id_, std::exchange(held_, 0));
  owner_->send_soon();
}

void Http2OriginStream::take_end() {
  if (done_ || !answering_ || !why_not_.empty()) return;
  done_ = true;
  HeaderList trailers = std::exchange(fields_, {});
  trailers.remove_if([](const HeaderList::Field& field) { return !may_trail(field.name); });
  handler_->on_response_end(trailers);
}

void Http2OriginStream::closed(Http2Framing::Closed how, const std::string& why) {
  closed_ = true;
  if (done_) return;
  OriginFailure failure;
  failure.why = !why_not_.empty() ? why_not_ : why;
  failure.began = answering_;
  // Not where it had begun to answer, whatever it says.
  failure.untouched = how == Http2Framing::Closed::kRefused && !answering_ && interims_ == 0;
  handler_->on_origin_failure(failure);
}

void Http2OriginStream::tell_pause() {
  delivered_ = false;
  handler_->on_response_pause();
}

}  // namespace latchkey::edge
