#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace latchkey::test {

// A request as an upstream reads it that takes the canonical form of HTTP/1.1 and nothing else.
struct StrictRequest {
  std::string method, target, host;
  std::vector<std::pair<std::string, std::string>> headers;  // as sent, without Host
  std::string framing;                                       // "none", "length" or "chunked"
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;

  std::string header(std::string_view name) const;  // "" when it is not there
  bool has(std::string_view name) const;
  // "POST /x a.test length hello", and the trailers.
  std::string told() const;
};

// Reads the bytes of one connection, independently of the code under test. Anything that two
// servers could read differently is an error: line ends, blanks, capitals in names, two framings,
// numbers that are not in their shortest form, chunk extensions, fields of the connection that are
// not ours to send.
class StrictReader {
 public:
  void add(std::string_view bytes) { in_ += bytes; }
  // The next whole request; null when there is none yet, or never will be: error().
  std::optional<StrictRequest> next();
  const std::string& error() const { return error_; }
  bool within_request() const { return !in_.empty(); }
  // After a request that asks to switch protocols: what follows it.
  std::string take_rest() { return std::exchange(in_, {}); }

 private:
  enum class Step { kMore, kDone, kError };
  Step fail(const std::string& why);
  Step read_line(size_t& at, std::string_view& line);
  Step read_fields(size_t& at, std::vector<std::pair<std::string, std::string>>& fields);
  Step read_head(size_t& at, StrictRequest& request, size_t& length);
  Step read_chunks(size_t& at, StrictRequest& request);

  std::string in_;
  std::string error_;
};

}  // namespace latchkey::test
