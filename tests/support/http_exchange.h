#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/byte_stream.h"

namespace latchkey::test {

struct HttpAnswer {
  int status = 0;  // 0: none came
  std::vector<int> informational;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool complete = false;  // ended as its framing says, not cut off

  std::string header(std::string_view lower_case_name) const;
};

// HTTP/1.1 over one connection. Keeps what was read too much for the next answer.
class HttpConversation {
 public:
  explicit HttpConversation(ByteStream& stream) : stream_(stream) {}

  HttpAnswer get(std::string_view host, std::string_view target = "/");
  // `request`: head and body as they go over the wire.
  HttpAnswer exchange(std::string_view request);
  HttpAnswer read_answer(bool to_head = false);

  // For what follows an upgrade: exactly so many bytes, fewer at the end.
  std::string read_exactly(size_t bytes);
  // The server said that it ends the connection, or did.
  bool ended();

 private:
  bool fill();
  std::string take(size_t bytes);
  bool take_line(std::string& line);
  bool read_chunks(std::string& body);

  ByteStream& stream_;
  std::string buffer_;
};

}  // namespace latchkey::test
