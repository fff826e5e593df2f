// latchkey-bench-origin: the upstream of every proxy that is compared. Plain HTTP/1.1; GET /N is
// answered with N bytes, and so is POST /N once its body (with a Content-Length) has been read and
// forgotten. It trusts the proxy before it: a GET has no body.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "bench/servers/epoll_server.h"
#include "bench/servers/flags.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr size_t kMaxHead = 32 << 10;
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kRefusal =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

// The period is prime to all powers of two, so that a client sees bytes that are missing.
std::string letters(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i % 26);
  return out;
}

struct Shared {
  std::string body;  // grown to the largest that was asked for
  std::array<char, 64 << 10> input;

  std::string_view letters_of(size_t size) {
    if (body.size() < size) body = letters(size);
    return std::string_view(body).substr(0, size);
  }
};

struct Request {
  size_t size = 0;            // of the answer
  size_t content_length = 0;  // of its own body
};

bool same_letters(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x | 0x20) == y || x == y; });
}

std::optional<size_t> number_in(std::string_view text) {
  size_t out = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return out;
}

// `head`: without its empty line. Null for what this server does not do.
std::optional<Request> parse(std::string_view head) {
  const size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view line = head.substr(0, line_end);
  const size_t slash = line.find(" /");
  const size_t version = line.find(" HTTP/1.1");
  if (slash == std::string_view::npos || version == std::string_view::npos) return std::nullopt;
  std::string_view target = line.substr(slash + 2, version - slash - 2);
  target = target.substr(0, target.find('?'));
  Request request;
  if (!target.empty()) {
    const auto size = number_in(target);
    if (!size || *size > kMaxBody) return std::nullopt;
    request.size = *size;
  }
  if (line.starts_with("HEAD ")) return std::nullopt;
  if (line.starts_with("GET ")) return request;
  for (head.remove_prefix(line_end); !head.empty();) {
    head.remove_prefix(2);
    const std::string_view field = head.substr(0, head.find("\r\n"));
    head.remove_prefix(field.size());
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view name = field.substr(0, colon);
    if (same_letters(name, "transfer-encoding")) return std::nullopt;
    if (!same_letters(name, "content-length")) continue;
    std::string_view value = field.substr(std::min(colon + 1, field.size()));
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    const auto length = number_in(value);
    if (!length) return std::nullopt;
    request.content_length = *length;
  }
  return request;
}

class OriginConnection final : public ServedConnection {
 public:
  OriginConnection(int fd, Shared& shared) : ServedConnection(fd), shared_(shared) {}

  Next on_event(uint32_t events) override {
    if (!send_rest()) return Next::kEnd;
    if (rest_ == 0 && !kept_.empty() && !take("")) return Next::kEnd;
    // Requests behind an answer that is not sent yet wait in the kernel.
    while (rest_ == 0 && !ending_) {
      const ssize_t n = ::recv(fd(), shared_.input.data(), shared_.input.size(), 0);
      if (n == 0) return Next::kEnd;
      if (n < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN || errno == EWOULDBLOCK ? Next::kRead : Next::kEnd;
      }
      if (!take(std::string_view(shared_.input.data(), static_cast<size_t>(n)))) return Next::kEnd;
      const bool all = static_cast<size_t>(n) < shared_.input.size();
      if (all && rest_ == 0 && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) break;
    }
    if (rest_ > 0) return Next::kWrite;
    return ending_ ? Next::kEnd : Next::kRead;
  }

 private:
  bool take(std::string_view bytes) {
    if (kept_.empty()) {
      if (!answer_all(bytes)) return false;
      kept_ = bytes;
      return true;
    }
    kept_ += bytes;
    std::string_view all = kept_;
    if (!answer_all(all)) return false;
    kept_.erase(0, kept_.size() - all.size());
    return true;
  }

  // What remains of `bytes` is to be kept: the begin of a head, or requests that wait for room.
  bool answer_all(std::string_view& bytes) {
    while (!bytes.empty() && rest_ == 0 && !ending_) {
      const size_t skipped = std::min(bytes.size(), body_to_skip_);
      bytes.remove_prefix(skipped);
      body_to_skip_ -= skipped;
      if (body_to_skip_ > 0) return true;
      if (answer_due_) {
        answer_due_ = false;
        if (!answer(size_due_)) return false;
        continue;
      }
      const size_t end = bytes.find(kHeadEnd);
      if (end == std::string_view::npos) return bytes.size() <= kMaxHead;
      const auto request = parse(bytes.substr(0, end));
      bytes.remove_prefix(end + kHeadEnd.size());
      if (!request) return refuse();
      body_to_skip_ = request->content_length;
      if (body_to_skip_ == 0) {
        if (!answer(request->size)) return false;
        continue;
      }
      answer_due_ = true;
      size_due_ = request->size;
    }
    if (answer_due_ && body_to_skip_ == 0 && rest_ == 0) {
      answer_due_ = false;
      return answer(size_due_);
    }
    return true;
  }

  bool refuse() {
    ending_ = true;
    return ::send(fd(), kRefusal.data(), kRefusal.size(), MSG_NOSIGNAL) >= 0;
  }

  bool answer(size_t size) {
    char head[128];
    const int head_size = std::snprintf(head, sizeof head,
                                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                        "Content-Length: %zu\r\n\r\n",
                                        size);
    const std::string_view body = shared_.letters_of(size);
    std::array<iovec, 2> parts{
        {{head, static_cast<size_t>(head_size)}, {const_cast<char*>(body.data()), body.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = size == 0 ? 1 : 2;
    ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      sent = 0;
    }
    const auto of_head = std::min(static_cast<size_t>(sent), parts[0].iov_len);
    rest_head_.assign(head + of_head, parts[0].iov_len - of_head);
    rest_ = parts[0].iov_len + size - static_cast<size_t>(sent);
    size_ = size;
    return send_rest();
  }

  // After this either all is sent or the kernel's buffer is full.
  bool send_rest() {
    while (rest_ > 0) {
      const std::string_view part = rest_head_.empty()
                                        ? shared_.letters_of(size_).substr(size_ - rest_)
                                        : std::string_view(rest_head_);
      const ssize_t n = ::send(fd(), part.data(), part.size(), MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      rest_ -= static_cast<size_t>(n);
      rest_head_.erase(0, static_cast<size_t>(n));
    }
    return true;
  }

  Shared& shared_;
  std::string kept_;  // input that is not used up, <= 32 KiB and one read
  size_t body_to_skip_ = 0;
  bool answer_due_ = false;  // once the request's body has been skipped
  size_t size_due_ = 0;
  std::string rest_head_;  // of the answer that is being sent; mostly empty
  size_t rest_ = 0;        // all that is unsent of it
  size_t size_ = 0;        // of its body
  bool ending_ = false;
};

int run(int argc, const char* const* argv) {
  const auto flags = Flags::parse(argc, argv, {.required = {"--listen"}});
  if (!flags) {
    std::fprintf(stderr, "latchkey-bench-origin: %s\n", flags.error().message.c_str());
    return 2;
  }
  Shared shared;
  const auto served = serve(flags->value("--listen"), [&shared](int fd) {
    return std::make_unique<OriginConnection>(fd, shared);
  });
  if (served) return 0;
  std::fprintf(stderr, "latchkey-bench-origin: %s\n", served.error().message.c_str());
  return served.error().code == ErrorCode::kInvalid ? 2 : 1;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  return latchkey::bench::run(argc, argv);
}
