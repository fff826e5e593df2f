#include "edge/http/http1_codec.h"

#include <llhttp.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/url.h"

namespace latchkey::edge {
namespace {

using Kind = Http1Event::Kind;
using Found = LineScanner::Found;

// llhttp over one whole head. Its spans are contiguous, as folding was refused before.
struct Reading {
  HeaderList headers;
  std::string_view method;
  std::string_view target;
  std::string_view reason;
  std::string_view name;
  std::string_view value;
  bool complete = false;
  llhttp_t parser{};

  static Reading& of(llhttp_t* p) { return *static_cast<Reading*>(p->data); }
};

void extend(std::string_view& view, const char* at, size_t size) {
  view =
      view.empty() ? std::string_view(at, size) : std::string_view(view.data(), view.size() + size);
}

const llhttp_settings_t& settings() {
  static const llhttp_settings_t table = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_method = [](llhttp_t* p, const char* at, size_t n) {
      extend(Reading::of(p).method, at, n);
      return 0;
    };
    s.on_url = [](llhttp_t* p, const char* at, size_t n) {
      extend(Reading::of(p).target, at, n);
      return 0;
    };
    s.on_status = [](llhttp_t* p, const char* at, size_t n) {
      extend(Reading::of(p).reason, at, n);
      return 0;
    };
    s.on_header_field = [](llhttp_t* p, const char* at, size_t n) {
      extend(Reading::of(p).name, at, n);
      return 0;
    };
    s.on_header_value = [](llhttp_t* p, const char* at, size_t n) {
      extend(Reading::of(p).value, at, n);
      return 0;
    };
    s.on_header_value_complete = [](llhttp_t* p) {
      Reading& r = Reading::of(p);
      r.headers.add(r.name, trim(r.value));
      r.name = r.value = {};
      return 0;
    };
    s.on_headers_complete = [](llhttp_t* p) -> int {
      Reading::of(p).complete = true;
      return HPE_PAUSED;
    };
    return s;
  }();
  return table;
}

// Whether llhttp takes exactly this as a head.
bool run(Reading& reading, llhttp_type_t type, std::string_view block) {
  llhttp_init(&reading.parser, type, &settings());
  reading.parser.data = &reading;
  llhttp_execute(&reading.parser, block.data(), block.size());
  return reading.complete &&
         llhttp_get_error_pos(&reading.parser) + 1 >= block.data() + block.size();
}

bool agrees(const llhttp_t& parser, const Body& body) {
  const bool chunked = (parser.flags & F_CHUNKED) != 0;
  const bool length = (parser.flags & F_CONTENT_LENGTH) != 0;
  if (chunked != (body.kind == Body::Kind::kChunked)) return false;
  if (length != (body.kind == Body::Kind::kLength)) return false;
  return !length || parser.content_length == body.length;
}

bool persists(const HeaderList& headers, int minor_version) {
  if (headers.has_token("connection", "close")) return false;
  return minor_version >= 1 || headers.has_token("connection", "keep-alive");
}

// The one protocol that is asked for or switched to, if we pass it on. Not h2c: what follows it
// would be requests that nobody has looked at.
std::string upgrade_of(const HeaderList& headers, int minor_version) {
  if (minor_version < 1 || !headers.has_token("connection", "upgrade")) return {};
  if (headers.count("upgrade") != 1) return {};
  const std::string_view protocol = headers.get("upgrade");
  const std::string_view name = protocol.substr(0, protocol.find('/'));
  if (!is_token(name) || same_text(name, "h2c") || same_text(name, "h2") ||
      same_text(name, "http") || same_text(name, "tls")) {
    return {};
  }
  if (name.size() != protocol.size() && !is_token(protocol.substr(name.size() + 1))) return {};
  return std::string(protocol);
}

}  // namespace

bool is_known_method(std::string_view method) {
  static const std::set<std::string, std::less<>> known = [] {
    std::set<std::string, std::less<>> out;
    // llhttp knows some in other protocols only.
    const auto take = [&](const std::string& name) {
      Reading reading;
      if (run(reading, HTTP_REQUEST, name + " / HTTP/1.1\r\n\r\n")) out.insert(name);
    };
#define LATCHKEY_TAKE(NUMBER, NAME, STRING) take(#STRING);
    HTTP_METHOD_MAP(LATCHKEY_TAKE)
#undef LATCHKEY_TAKE
    return out;
  }();
  return known.contains(method);
}

void Http1RequestParser::restart(const Http1Limits& limits) {
  limits_ = limits;
  lines_ = {};
  in_body_ = false;
}

Http1Event Http1RequestParser::refuse(const Refusal& why) {
  refusal_ = why;
  return {Kind::kRefused};
}

Http1Event Http1RequestParser::next(std::string_view bytes) {
  if (in_body_) {
    const Http1Event event = body_.next(bytes);
    if (event.kind == Kind::kEnd) in_body_ = false;
    if (event.kind == Kind::kRefused) refusal_ = body_.refusal();
    return event;
  }
  switch (lines_.scan(bytes, LineScanner::First::kRequestLine, limits_)) {
    case Found::kMore:
      return {Kind::kMore};
    case Found::kRefused:
      return refuse(lines_.refusal());
    case Found::kBlock:
      break;
  }
  const LineScanner lines = std::exchange(lines_, {});
  if (!read(bytes.substr(lines.skipped(), lines.size() - lines.skipped()))) {
    return {Kind::kRefused};
  }
  in_body_ = true;
  body_.begin(head_.body, limits_);
  return {Kind::kHead, lines.size()};
}

bool Http1RequestParser::read(std::string_view block) {
  const auto refused = [this](const Refusal& why) {
    refusal_ = why;
    return false;
  };
  Reading reading;
  const bool whole = run(reading, HTTP_REQUEST, block);
  if (llhttp_get_errno(&reading.parser) == HPE_INVALID_METHOD) {
    return refused({501, "a method that is not known here"});
  }
  head_ = {};
  head_.minor_version = reading.parser.http_minor;
  // Before `whole`, for its clearer answers: llhttp refuses most of these too.
  if (reading.complete) {
    if (const auto why = read_framing(reading.headers, head_.minor_version, head_.body)) {
      return refused(*why);
    }
  }
  if (!whole || !agrees(reading.parser, head_.body)) {
    return refused({400, "a malformed request"});
  }
  HeaderList& headers = reading.headers;
  if (headers.count("host") != 1) return refused({400, "a request needs exactly one Host"});
  if (!is_authority(headers.get("host"))) return refused({400, "a malformed Host"});
  head_.authority = headers.get("host");
  head_.method = reading.method;
  if (const auto why = read_target(head_.method, reading.target, head_.authority, head_.target)) {
    return refused(*why);
  }
  keep_alive_ = persists(headers, head_.minor_version);
  head_.upgrade = upgrade_of(headers, head_.minor_version);
  if (head_.body.kind == Body::Kind::kChunked || head_.body.length > 0) {
    head_.upgrade.clear();
    head_.expect_continue =
        head_.minor_version >= 1 && same_text(headers.get("expect"), "100-continue");
  }
  for (const char* framing : {"host", "content-length", "transfer-encoding"}) {
    headers.remove(framing);
  }
  head_.headers = std::move(headers);
  return true;
}

void Http1ResponseParser::expect(bool head_request, bool upgrade) {
  head_request_ = head_request;
  upgrade_ = upgrade;
  in_body_ = until_close_ = false;
  lines_ = {};
}

Http1Event Http1ResponseParser::refuse(const Refusal& why) {
  refusal_ = {502, why.why};
  return {Kind::kRefused};
}

Http1Event Http1ResponseParser::next(std::string_view bytes) {
  if (in_body_) {
    const Http1Event event = body_.next(bytes);
    if (event.kind == Kind::kRefused) refusal_ = {502, body_.refusal().why};
    return event;
  }
  switch (lines_.scan(bytes, LineScanner::First::kStatusLine, limits_)) {
    case Found::kMore:
      return {Kind::kMore};
    case Found::kRefused:
      return refuse(lines_.refusal());
    case Found::kBlock:
      break;
  }
  const LineScanner lines = std::exchange(lines_, {});
  if (lines.skipped() > 0) return refuse({502, "an empty line before the response"});
  if (!read(bytes.substr(0, lines.size()))) return {Kind::kRefused};
  return {Kind::kHead, lines.size()};
}

bool Http1ResponseParser::read(std::string_view block) {
  const auto refused = [this](const Refusal& why) {
    refusal_ = {502, why.why};
    return false;
  };
  Reading reading;
  const bool whole = run(reading, HTTP_RESPONSE, block);
  const int minor_version = reading.parser.http_minor;
  head_ = {};
  if (reading.complete) {
    if (const auto why = read_framing(reading.headers, minor_version, head_.body)) {
      return refused(*why);
    }
  }
  if (!whole || !agrees(reading.parser, head_.body)) return refused({502, "a malformed response"});
  HeaderList& headers = reading.headers;
  head_.status = reading.parser.status_code;
  head_.reason = trim(reading.reason);
  keep_alive_ = persists(headers, minor_version);
  if (head_.status == 101) {
    head_.upgrade = upgrade_of(headers, minor_version);
    if (!upgrade_ || head_.upgrade.empty()) return refused({502, "a switch nobody asked for"});
  }
  for (const char* framing : {"content-length", "transfer-encoding"}) headers.remove(framing);
  head_.headers = std::move(headers);
  if (head_.status < 200) {
    head_.body = {};
    return true;
  }
  if (head_.status == 204) head_.body = {};
  const bool bodiless = head_request_ || head_.status == 204 || head_.status == 304;
  if (!bodiless && head_.body.kind == Body::Kind::kNone) {
    head_.body.kind = Body::Kind::kUntilClose;
    until_close_ = true;
    keep_alive_ = false;
  }
  in_body_ = true;
  body_.begin(bodiless ? Body{} : head_.body, limits_);
  return true;
}

Http1Event Http1ResponseParser::finish() {
  if (in_body_ && until_close_) return {Kind::kEnd};
  return refuse({502, in_body_ ? "the response was cut off" : "the connection was closed"});
}

}  // namespace latchkey::edge
