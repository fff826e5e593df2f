#include "edge/http/http1_body.h"

#include <algorithm>

#include "base/text.h"
#include "edge/http/http1_codec.h"

namespace latchkey::edge {
namespace {

using Kind = Http1Event::Kind;

}  // namespace

bool may_trail(std::string_view name) {
  for (const char* never :
       {"content-length", "transfer-encoding", "host", "connection", "upgrade", "te", "trailer",
        "authorization", "cookie", "set-cookie", "content-type", "content-encoding",
        "content-range", "expect", "range", "cache-control", "forwarded", "via", "proxy"}) {
    if (name == never) return false;
  }
  return !name.starts_with("x-forwarded-") && !name.starts_with("x_forwarded");
}

void Http1Body::begin(const Body& body, const Http1Limits& limits) {
  limits_ = limits;
  left_ = body.length;
  digits_ = 0;
  extensions_ = 0;
  lines_ = {};
  if (!trailers_.empty()) trailers_ = {};
  switch (body.kind) {
    case Body::Kind::kNone:
      state_ = State::kEnd;
      break;
    case Body::Kind::kLength:
      state_ = left_ > 0 ? State::kLength : State::kEnd;
      break;
    case Body::Kind::kChunked:
      state_ = State::kSize;
      left_ = 0;
      break;
    case Body::Kind::kUntilClose:
      state_ = State::kUntilClose;
      break;
  }
}

Http1Event Http1Body::refuse(std::string_view why, size_t consumed) {
  refusal_ = {400, why};
  return {Kind::kRefused, consumed};
}

// Digits, then perhaps an extension, then CR. False: malformed.
bool Http1Body::size_byte(char c) {
  if (c == '\r' && digits_ > 0) {
    state_ = State::kSizeLf;
    return true;
  }
  if (c == ';' && digits_ > 0) {
    state_ = State::kExtension;
    return true;
  }
  const int value = hex_digit(c);
  if (value < 0 || digits_ >= 15) return false;
  left_ = left_ * 16 + static_cast<uint64_t>(value);
  ++digits_;
  return true;
}

Http1Event Http1Body::next(std::string_view bytes) {
  size_t at = 0;
  while (state_ != State::kEnd && state_ != State::kTrailers) {
    if (at == bytes.size()) return {Kind::kMore, at};
    const char c = bytes[at];
    switch (state_) {
      case State::kUntilClose:
        return {Kind::kBody, bytes.size(), bytes.substr(at)};
      case State::kLength:
      case State::kData: {
        const size_t n = std::min<uint64_t>(left_, bytes.size() - at);
        left_ -= n;
        if (left_ == 0) state_ = state_ == State::kData ? State::kDataCr : State::kEnd;
        return {Kind::kBody, at + n, bytes.substr(at, n)};
      }
      case State::kSize:
        if (!size_byte(c)) return refuse("a malformed chunk size", at);
        break;
      case State::kExtension:
        if (c == '\r') {
          state_ = State::kSizeLf;
        } else if ((static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f) {
          return refuse("a control character in a chunk extension", at);
        } else if (++extensions_ > kMaxExtensions) {
          return refuse("too many chunk extensions", at);
        }
        break;
      case State::kSizeLf:
        if (c != '\n') return refuse("a chunk size that does not end in CRLF", at);
        state_ = left_ > 0 ? State::kData : State::kTrailers;
        break;
      case State::kDataCr:
        if (c != '\r') return refuse("a chunk longer than it said", at);
        state_ = State::kDataLf;
        break;
      case State::kDataLf:
        if (c != '\n') return refuse("a chunk that does not end in CRLF", at);
        state_ = State::kSize;
        digits_ = 0;
        break;
      case State::kTrailers:
      case State::kEnd:
        break;
    }
    ++at;
  }
  if (state_ == State::kEnd) return {Kind::kEnd, at};
  return read_trailers(bytes.substr(at), at);
}

Http1Event Http1Body::read_trailers(std::string_view bytes, size_t consumed) {
  switch (lines_.scan(bytes, LineScanner::First::kField, limits_)) {
    case LineScanner::Found::kMore:
      return {Kind::kMore, consumed};
    case LineScanner::Found::kRefused:
      refusal_ = lines_.refusal();
      return {Kind::kRefused, consumed};
    case LineScanner::Found::kBlock:
      break;
  }
  std::string_view block = bytes.substr(0, lines_.size() - 2);
  while (!block.empty()) {
    const size_t end = block.find('\r');
    const std::string_view line = block.substr(0, end);
    const size_t colon = line.find(':');
    if (may_trail(lower(line.substr(0, colon)))) {
      trailers_.add(line.substr(0, colon), trim(line.substr(colon + 1)));
    }
    block.remove_prefix(end + 2);
  }
  state_ = State::kEnd;
  return {Kind::kEnd, consumed + lines_.size()};
}

}  // namespace latchkey::edge
