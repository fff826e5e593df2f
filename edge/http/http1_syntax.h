#pragma once
// The grammar of HTTP/1 as strictly as it is written, where parsers in the wild differ: line ends,
// field lines, request lines, Host. What passes here has one meaning only. Pure functions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "edge/http/header_list.h"
#include "edge/http/message.h"

namespace latchkey::edge {

struct Http1Limits {
  size_t line = 8 << 10;   // the request or status line
  size_t head = 32 << 10;  // that and all fields; the trailers again
  size_t fields = 100;
};

// Why a message was not taken: the status for the client (for a response from upstream: 502) and
// a fixed text.
struct Refusal {
  int status = 400;
  std::string_view why;
};

bool is_token(std::string_view text);  // not empty, RFC 9110 5.6.2

// Finds the end of a block of lines as they arrive, checking each. Lines end in CRLF, nothing else;
// no control characters; no continuation lines; field names are tokens followed by a colon.
class LineScanner {
 public:
  enum class First { kRequestLine, kStatusLine, kField };
  enum class Found { kMore, kBlock, kRefused };

  // `bytes` begins where the block does; after kMore it is the same with more behind it.
  Found scan(std::string_view bytes, First first, const Http1Limits& limits);
  // After kBlock: its size with the empty line; after kRefused: why.
  size_t size() const { return line_; }
  const Refusal& refusal() const { return refusal_; }
  // Bytes before the start line that mean nothing: one empty line.
  size_t skipped() const { return skipped_; }

 private:
  Found refuse(int status, std::string_view why);

  size_t line_ = 0;  // where the line begins that is not complete
  size_t seen_ = 0;  // no LF before this
  size_t fields_ = 0;
  size_t skipped_ = 0;
  bool started_ = false;
  Refusal refusal_;
};

// "METHOD SP target SP HTTP/1.x", without its CRLF.
std::optional<Refusal> check_request_line(std::string_view line);
// "HTTP/1.x SP 3DIGIT SP [reason]".
std::optional<Refusal> check_status_line(std::string_view line);

// Digits only, below 2^63.
std::optional<uint64_t> parse_length(std::string_view text);

// What Content-Length and Transfer-Encoding say together, or why that is not clear.
// A body without either: kNone for requests; the caller decides for responses.
std::optional<Refusal> read_framing(const HeaderList& headers, int minor_version, Body& body);

// Brings `target` into origin-form; an absolute-form one must name the same authority as Host.
std::optional<Refusal> read_target(std::string_view method, std::string_view target,
                                   std::string_view authority, std::string& origin_form);

}  // namespace latchkey::edge
