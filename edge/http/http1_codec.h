#pragma once
// HTTP/1.1 bytes to messages, without I/O. Pull parsers: the caller offers the bytes it has and is
// told what they begin with. Back-pressure is not to call.
//
// A head is read twice, by LineScanner and by llhttp: what llhttp 8.1 lets pass even in its strict
// mode (folded lines, a block that ends in a bare LF) the scanner refuses, and both must agree on
// the body's length.

#include <cstdint>
#include <string>
#include <string_view>

#include "edge/http/http1_body.h"
#include "edge/http/http1_syntax.h"
#include "edge/http/message.h"

namespace latchkey::edge {

struct Http1Event {
  enum class Kind {
    kMore,     // nothing whole: keep the bytes behind `consumed`, come back when there are more
    kHead,     // head() can be taken
    kBody,     // `body` is a piece of it, a view into the bytes offered
    kEnd,      // of the message; trailers() are whole
    kRefused,  // refusal() says why; the connection is of no more use
  };
  Kind kind;
  size_t consumed = 0;
  std::string_view body = {};
};

// Whether requests with this method are taken: what llhttp knows.
bool is_known_method(std::string_view method);

// One request after the other.
class Http1RequestParser {
 public:
  explicit Http1RequestParser(const Http1Limits& limits = {}) : limits_(limits) {}

  // As new, for another connection.
  void restart(const Http1Limits& limits);
  // No bytes of a message that was refused, or of trailers.
  bool keeps_nothing() const { return head_.authority.empty() && body_.trailers().bytes() == 0; }
  // `bytes`: everything not yet consumed.
  Http1Event next(std::string_view bytes);

  RequestHead& head() { return head_; }  // after kHead; without `scheme`
  bool keep_alive() const { return keep_alive_; }
  const HeaderList& trailers() const { return body_.trailers(); }
  const Refusal& refusal() const { return refusal_; }
  // Bytes of a head have been seen, but not all.
  bool within_body() const { return in_body_; }

 private:
  Http1Event refuse(const Refusal& why);
  bool read(std::string_view block);

  Http1Limits limits_;
  LineScanner lines_;
  RequestHead head_;
  Http1Body body_;
  Refusal refusal_;
  bool keep_alive_ = true;
  bool in_body_ = false;
};

// The responses on one upstream connection.
class Http1ResponseParser {
 public:
  explicit Http1ResponseParser(const Http1Limits& limits = {}) : limits_(limits) {}

  // What the next response answers. REQUIRES: the one before has ended.
  void expect(bool head_request, bool upgrade);
  // kHead comes for interim responses too, then without kEnd. After kHead of a 101 all bytes are
  // the new protocol's: next() is not to be called again.
  Http1Event next(std::string_view bytes);
  // The peer closed: kEnd where that is how the body ends, else kRefused.
  Http1Event finish();

  ResponseHead& head() { return head_; }
  bool keep_alive() const { return keep_alive_; }
  const HeaderList& trailers() const { return body_.trailers(); }
  const Refusal& refusal() const { return refusal_; }

 private:
  Http1Event refuse(const Refusal& why);
  bool read(std::string_view block);

  Http1Limits limits_;
  LineScanner lines_;
  ResponseHead head_;
  Http1Body body_;
  Refusal refusal_;
  bool head_request_ = false;
  bool upgrade_ = false;
  bool keep_alive_ = true;
  bool in_body_ = false;
  bool until_close_ = false;
};

}  // namespace latchkey::edge
