// The upstream of `edge/run`: a page that shows the request as it arrived here. A thread a
// connection, loopback only; it trusts the edge in front of it to have parsed strictly.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.h"

namespace {

constexpr size_t kMaxLine = 32 << 10;
constexpr size_t kMaxFields = 100;
constexpr int kMaxConnections = 64;  // one more is closed at once
constexpr int kIdleSeconds = 60;

struct Request {
  std::string line;                                           // "GET /path HTTP/1.1"
  std::vector<std::pair<std::string, std::string>> fields{};  // names as they came
  size_t body_bytes = 0;

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (latchkey::same_text(key, name)) return value;
    }
    return {};
  }
};

// Owns the socket and what was read ahead; every read is bounded.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {
    const timeval idle{.tv_sec = kIdleSeconds, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;

  // Nothing when the peer is gone, silent for too long, or sends what is no request.
  std::optional<Request> receive() {
    Request request;
    std::optional<std::string> line = read_line();
    if (!line || line->empty()) return std::nullopt;
    request.line = *line;
    while ((line = read_line()) && !line->empty()) {
      const size_t colon = line->find(':');
      if (colon == std::string::npos || request.fields.size() == kMaxFields) return std::nullopt;
      const size_t value = std::min(line->find_first_not_of(" \t", colon + 1), line->size());
      request.fields.emplace_back(line->substr(0, colon), line->substr(value));
    }
    if (!line) return std::nullopt;
    if (!request.field("expect").empty() && !send_all("HTTP/1.1 100 Continue\r\n\r\n"))
      return std::nullopt;
    if (!skip_body(request)) return std::nullopt;
    return request;
  }

  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

 private:
  bool fill() {
    char bytes[16 << 10];
    const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    ahead_.append(bytes, static_cast<size_t>(got));
    return true;
  }

  std::optional<std::string> read_line() {
    size_t end = 0;
    while ((end = ahead_.find("\r\n")) == std::string::npos) {
      if (ahead_.size() > kMaxLine || !fill()) return std::nullopt;
    }
    std::string line = ahead_.substr(0, end);
    ahead_.erase(0, end + 2);
    return line;
  }

  bool skip(size_t bytes) {
    while (bytes > 0) {
      if (ahead_.empty() && !fill()) return false;
      const size_t now = std::min(bytes, ahead_.size());
      ahead_.erase(0, now);
      bytes -= now;
    }
    return true;
  }

  static std::optional<size_t> number(std::string_view text, int base) {
    size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    return value;
  }

  bool skip_body(Request& request) {
    if (request.field("transfer-encoding").empty()) {
      const std::string length = request.field("content-length");
      if (length.empty()) return true;
      const std::optional<size_t> bytes = number(length, 10);
      request.body_bytes = bytes.value_or(0);
      return bytes && skip(*bytes);
    }
    for (;;) {
      const std::optional<std::string> line = read_line();
      const std::optional<size_t> bytes = line ? number(*line, 16) : std::nullopt;
      if (!bytes) return false;
      if (*bytes == 0) break;
      request.body_bytes += *bytes;
      if (!skip(*bytes) || !read_line()) return false;
    }
    for (;;) {  // trailers
      const std::optional<std::string> line = read_line();
      if (!line) return false;
      if (line->empty()) return true;
    }
  }

  const int fd_;
  std::string ahead_;  // read and not yet used: a line (kMaxLine) and one read more at most
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string page(const Request& request, bool html) {
  std::string text = request.line + "\n";
  for (const auto& [name, value] : request.fields) text += name + ": " + value + "\n";
  if (request.body_bytes > 0)
    text += "\n(and a body of " + std::to_string(request.body_bytes) + " bytes)\n";
  const std::string title = "Hello from the upstream behind Latchkey. This is what arrived here:";
  if (!html) return title + "\n\n" + text;
  return "<!doctype html><meta charset=utf-8><title>Latchkey</title>"
         "<body style=\"font-family:sans-serif;margin:3em\"><h1>It works</h1><p>" +
         title + "</p><pre>" + escaped(text) + "</pre>\n";
}

void serve(int fd) {
  Connection connection(fd);
  while (const std::optional<Request> request = connection.receive()) {
    const bool html = request->field("accept").find("text/html") != std::string::npos;
    const std::string body = page(*request, html);
    const bool last =
        request->field("connection") == "close" || request->line.ends_with("HTTP/1.0");
    std::string reply = "HTTP/1.1 200 OK\r\nContent-Type: text/" +
                        std::string(html ? "html" : "plain") +
                        "; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\n" + (last ? "Connection: close\r\n" : "") + "\r\n";
    if (!request->line.starts_with("HEAD ")) reply += body;
    if (!connection.send_all(reply) || last) return;
  }
}

int listen_on_loopback(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 128) != 0)
    return -1;
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  int port = 0;
  if (argc == 3 && std::string_view(argv[1]) == "--port") {
    const std::string_view text = argv[2];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size()) port = 0;
  }
  if (port < 1 || port > 65535) {
    std::cerr << "usage: latchkey-demo-upstream --port PORT    (1 to 65535)\n";
    return 2;
  }
  const int listener = listen_on_loopback(static_cast<uint16_t>(port));
  if (listener < 0) {
    std::cerr << "latchkey-demo-upstream: cannot listen on 127.0.0.1:" << port << ": "
              << std::error_code(errno, std::generic_category()).message() << "\n";
    return 1;
  }
  std::cout << "listening on http://127.0.0.1:" << port << std::endl;

  static std::atomic<int> connections = 0;
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // out of descriptors, say
      continue;
    }
    if (connections >= kMaxConnections) {
      close(fd);
      continue;
    }
    ++connections;
    std::thread([fd] {
      serve(fd);
      --connections;
    }).detach();
  }
}
