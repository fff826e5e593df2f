#include "tests/support/http_exchange.h"

#include <algorithm>

#include "base/text.h"

namespace latchkey::test {

std::string HttpAnswer::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return "";
}

HttpAnswer HttpConversation::get(std::string_view host, std::string_view target) {
  std::string request = "GET ";
  request.append(target).append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n\r\n");
  return exchange(request);
}

HttpAnswer HttpConversation::exchange(std::string_view request) {
  stream_.write(request);  // if that fails, an answer may have come already
  return read_answer(request.starts_with("HEAD "));
}

HttpAnswer HttpConversation::read_answer(bool to_head) {
  HttpAnswer answer;
  for (;;) {
    std::string line;
    if (!take_line(line) || line.size() < 12 || !line.starts_with("HTTP/1.")) return answer;
    answer.status = std::atoi(line.c_str() + 9);
    answer.headers.clear();
    for (;;) {
      if (!take_line(line)) return answer;
      if (line.empty()) break;
      const size_t colon = line.find(':');
      const size_t value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
      answer.headers.emplace_back(lower(line.substr(0, colon)), line.substr(value));
    }
    if (answer.status >= 200 || answer.status == 101) break;
    answer.informational.push_back(answer.status);
    answer.status = 0;
  }
  if (to_head || answer.status == 101 || answer.status == 204 || answer.status == 304) {
    answer.complete = true;
  } else if (lower(answer.header("transfer-encoding")) == "chunked") {
    answer.complete = read_chunks(answer.body);
  } else if (const std::string length = answer.header("content-length"); !length.empty()) {
    const size_t expected = std::stoul(length);
    answer.body = read_exactly(expected);
    answer.complete = answer.body.size() == expected;
  } else {
    while (fill()) {
    }
    answer.body = take(buffer_.size());
    answer.complete = true;
  }
  return answer;
}

std::string HttpConversation::read_exactly(size_t bytes) {
  while (buffer_.size() < bytes && fill()) {
  }
  return take(bytes);
}

bool HttpConversation::ended() {
  while (buffer_.empty() && fill()) {
  }
  return buffer_.empty();
}

bool HttpConversation::fill() {
  const auto bytes = stream_.read();
  if (!bytes || bytes->empty()) return false;
  buffer_ += *bytes;
  return true;
}

std::string HttpConversation::take(size_t bytes) {
  std::string result = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return result;
}

bool HttpConversation::take_line(std::string& line) {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) return false;
  }
  line = take(end);
  take(2);
  return true;
}

bool HttpConversation::read_chunks(std::string& body) {
  for (std::string line; take_line(line);) {
    const size_t size = std::strtoul(line.c_str(), nullptr, 16);
    body += read_exactly(size);
    if (size == 0) {
      while (take_line(line)) {
        if (line.empty()) return true;  // after the trailers
      }
      return false;
    }
    if (!take_line(line) || !line.empty()) return false;
  }
  return false;
}

}  // namespace latchkey::test
