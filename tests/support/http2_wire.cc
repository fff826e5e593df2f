#include "tests/support/http2_wire.h"

#include <nghttp2/nghttp2.h>

#include "base/check.h"

namespace latchkey::test::http2 {
namespace {

// RFC 7541, 5.1, with a prefix of 7 bits.
void put_length(std::string& out, size_t length) {
  if (length < 127) {
    out += static_cast<char>(length);
    return;
  }
  out += '\x7f';
  for (length -= 127; length >= 128; length >>= 7) out += static_cast<char>(0x80 | (length & 127));
  out += static_cast<char>(length);
}

uint32_t read32(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

}  // namespace

std::string number32(uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift);
  return out;
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = number32(static_cast<uint32_t>(payload.size())).substr(1);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out.append(number32(stream)).append(payload);
}

std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += '\0';
    put_length(out, name.size());
    out += name;
    put_length(out, value.size());
    out += value;
  }
  return out;
}

std::string greeting() {
  const std::string window(1, '\0');
  return std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") +
         frame(kSettings, 0, 0, window + '\4' + number32(0x7fffffff)) +
         frame(kWindow, 0, 0, number32(0x7fffffff - 65'535));
}

std::string request(uint32_t stream, const Fields& fields) {
  return frame(kHeaders, kEndHeaders | kEndStream, stream, block(fields));
}

std::string request(uint32_t stream, const Fields& fields, std::string_view body,
                    const Fields& trailers) {
  std::string out = frame(kHeaders, kEndHeaders, stream, block(fields));
  out += frame(kData, trailers.empty() ? kEndStream : 0, stream, body);
  if (!trailers.empty()) {
    out += frame(kHeaders, kEndHeaders | kEndStream, stream, block(trailers));
  }
  return out;
}

std::string Outcome::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::string Outcome::told() const {
  if (!status.empty()) return status;
  return reset ? "reset" : goaway ? "goaway" : "cut";
}

Reader::Reader(ByteStream& stream) : stream_(stream) {
  CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
}

Reader::~Reader() {
  nghttp2_hd_inflate_del(inflater_);
}

bool Reader::read_frame() {
  for (;;) {
    const size_t size = in_.size() < 9 ? 0 : read32(in_) >> 8;
    if (in_.size() >= 9 + size) {
      type_ = static_cast<uint8_t>(in_[3]);
      flags_ = static_cast<uint8_t>(in_[4]);
      id_ = read32(std::string_view(in_).substr(5));
      payload_ = in_.substr(9, size);
      in_.erase(0, 9 + size);
      return true;
    }
    const auto more = stream_.read();
    if (!more || more->empty()) return false;
    in_ += *more;
  }
}

Fields Reader::inflate(std::string_view text) {
  Fields out;
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  size_t left = text.size();
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t n = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, left, 1);
    if (n < 0) return out;
    at += n;
    left -= static_cast<size_t>(n);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      out.emplace_back(std::string(reinterpret_cast<const char*>(field.name), field.namelen),
                       std::string(reinterpret_cast<const char*>(field.value), field.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0 || (n == 0 && left == 0)) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return out;
}

Outcome Reader::wait_for(uint32_t stream) {
  Outcome out;
  while (!out.ended && !out.reset && read_frame()) {
    if (type_ == kSettings && (flags_ & kAck) == 0) stream_.write(frame(kSettings, kAck, 0, ""));
    if (type_ == kPing && (flags_ & kAck) == 0) stream_.write(frame(kPing, kAck, 0, payload_));
    if (type_ == kGoaway) out.goaway = read32(std::string_view(payload_).substr(4));
    Fields fields;
    if (type_ == kHeaders) fields = inflate(payload_);
    if (id_ != stream) continue;
    if (type_ == kReset) out.reset = read32(payload_);
    if (type_ == kData) out.body += payload_;
    if (type_ == kHeaders && !fields.empty() && fields[0].first == ":status") {
      if (!fields[0].second.starts_with('1')) out.status = fields[0].second;
      out.headers = std::move(fields);
    } else if (type_ == kHeaders) {
      out.trailers = std::move(fields);
    }
    const bool carries = type_ == kHeaders || type_ == kData;
    out.ended = carries && (flags_ & kEndStream) != 0;
  }
  return out;
}

}  // namespace latchkey::test::http2
