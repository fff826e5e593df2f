#include "tests/support/body_upstream.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "base/check.h"

namespace latchkey::test {
namespace {

constexpr size_t kPiece = 256 << 10;

// Two periods and a piece more, so that any piece is in one place.
const std::string& pattern() {
  static const std::string bytes = [] {
    std::string out(Pattern::kPeriod, '\0');
    uint32_t state = 1;
    for (char& c : out) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    while (out.size() < Pattern::kPeriod + kPiece) out += out.substr(0, Pattern::kPeriod);
    return out;
  }();
  return bytes;
}

// What comes on a socket, with a bound on what is kept.
class Incoming {
 public:
  explicit Incoming(int fd) : fd_(fd) {}
  bool fill() {
    const size_t before = bytes_.size();
    bytes_.resize(before + kPiece);
    const ssize_t n = recv(fd_, bytes_.data() + before, kPiece, 0);
    bytes_.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return n > 0;
  }
  // Up to and without `end`; false when the connection ended before.
  bool take_until(std::string_view end, std::string& out) {
    size_t at = 0;
    while ((at = bytes_.find(end)) == std::string::npos) {
      if (!fill()) return false;
    }
    out = bytes_.substr(0, at);
    bytes_.erase(0, at + end.size());
    return true;
  }
  // Some of so many bytes.
  bool take_some(uint64_t at_most, std::string& out) {
    if (bytes_.empty() && !fill()) return false;
    const size_t n = std::min<uint64_t>(at_most, bytes_.size());
    out.assign(bytes_, 0, n);
    bytes_.erase(0, n);
    return true;
  }

 private:
  int fd_;
  std::string bytes_;
};

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

std::string_view Pattern::next(size_t at_most) {
  const size_t n = std::min(at_most, kPiece);
  const auto bytes = std::string_view(pattern()).substr(at_ % kPeriod, n);
  at_ += n;
  return bytes;
}

bool Pattern::check(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view wanted = next(bytes.size());
    if (!bytes.starts_with(wanted)) return false;
    bytes.remove_prefix(wanted.size());
  }
  return true;
}

BodyUpstream::BodyUpstream() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(listener_.get(), generic, size) == 0 && listen(listener_.get(), 600) == 0);
  CHECK(getsockname(listener_.get(), generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

BodyUpstream::~BodyUpstream() {
  stopping_ = true;
  hold_ = false;
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (const Fd& fd : open_) shutdown(fd.get(), SHUT_RDWR);
  for (auto& thread : threads_) thread.join();
}

void BodyUpstream::accept_all() {
  while (!stopping_) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    const std::lock_guard lock(mutex_);
    open_.push_back(std::move(fd));
    threads_.emplace_back([this, number = open_.back().get()] { serve(number); });
  }
}

bool BodyUpstream::send_body(int fd, uint64_t size) {
  Pattern body;
  while (body.at() < size) {
    const auto piece = body.next(std::min<uint64_t>(kPiece, size - body.at()));
    if (!send_all(fd, piece)) return false;
    sent_ += piece.size();
  }
  return true;
}

void BodyUpstream::serve(int fd) {
  Incoming in(fd);
  std::string head;
  while (in.take_until("\r\n\r\n", head)) {
    if (head.starts_with("GET /")) {
      const uint64_t size = std::strtoull(head.c_str() + 5, nullptr, 10);
      if (!send_all(fd,
                    "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n") ||
          !send_body(fd, size)) {
        return;
      }
      continue;
    }
    Pattern body;
    bool right = true;
    const bool chunked = head.find("transfer-encoding: chunked") != std::string::npos;
    const size_t length = head.find("content-length: ");
    uint64_t left =
        length == std::string::npos ? 0 : std::strtoull(head.c_str() + length + 16, nullptr, 10);
    std::string bytes;
    const auto take = [&] {
      while (left > 0) {
        while (hold_) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        if (!in.take_some(left, bytes)) return false;
        left -= bytes.size();
        received_ += bytes.size();
        right = right && body.check(bytes);
      }
      return true;
    };
    if (!take()) return;
    while (chunked) {
      if (!in.take_until("\r\n", bytes)) return;
      left = std::strtoull(bytes.c_str(), nullptr, 16);
      const bool last = left == 0;
      if (!take() || !in.take_until("\r\n", bytes)) return;
      if (last) break;
    }
    const std::string answer =
        right ? std::to_string(body.at()) : "wrong at " + std::to_string(body.at());
    if (!send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(answer.size()) +
                          "\r\n\r\n" + answer)) {
      return;
    }
  }
}

}  // namespace latchkey::test
