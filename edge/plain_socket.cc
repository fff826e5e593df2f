#include "edge/plain_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "edge/socket_options.h"

namespace latchkey::edge {
namespace {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// The size of what was filled in; 0: not a numeric address.
socklen_t fill(Address& to, const std::string& address, uint16_t port) {
  if (uv_ip4_addr(address.c_str(), port, &to.v4) == 0) return sizeof to.v4;
  if (uv_ip6_addr(address.c_str(), port, &to.v6) == 0) return sizeof to.v6;
  return 0;
}

}  // namespace

PlainSocket::PlainSocket(uv_loop_t& loop, int fd)
    : fd_(fd), watch_(loop, fd, *this), turn_end_(watch_.poller(), *this) {}

PlainSocket::~PlainSocket() {
  ::close(fd_);
}

void PlainSocket::want(bool read, bool write) {
  watch_.want(static_cast<uint8_t>((read ? SocketWatch::kReadable : 0) |
                                   (write ? SocketWatch::kWritable : 0)));
}

void PlainSocket::on_socket(uint8_t ready) {
  if (events_ == nullptr) return;
  if ((ready & SocketWatch::kWritable) != 0) {
    // One event a turn: it may destroy the socket, and the other comes again by itself.
    events_->on_writable();
  } else if ((ready & SocketWatch::kReadable) != 0) {
    events_->on_readable();
  }
}

Transport::Moved PlainSocket::failed(const char* doing) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::kAgain, 0};
  error_ = std::string(doing) + ": " + std::strerror(errno);
  return {Io::kError, 0};
}

Transport::Moved PlainSocket::read(std::span<char> into) {
  ssize_t n;
  do {
    n = ::recv(fd_, into.data(), into.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) watch_.dry();
    return failed("read");
  }
  if (n == 0) return {Io::kEnd, 0};
  if (static_cast<size_t>(n) < into.size()) watch_.short_read();
  return {Io::kDone, static_cast<size_t>(n)};
}

Transport::Moved PlainSocket::write(std::string_view bytes) {
  if (bytes.empty()) return {Io::kAgain, 0};
  ssize_t n;
  do {
    n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) watch_.full();
    return failed("write");
  }
  if (static_cast<size_t>(n) < bytes.size()) watch_.full();
  return {Io::kDone, static_cast<size_t>(n)};
}

void PlainSocket::on_late() {
  if (events_ != nullptr) events_->on_turn_end();
}

bool PlainSocket::ask_turn_end() {
  turn_end_.ask();
  return true;
}

void PlainSocket::finish_writing() {
  ::shutdown(fd_, SHUT_WR);
}

Dial::Dial(uv_loop_t& loop, const std::string& address, uint16_t port, Done done)
    : loop_(loop), where_(address + ":" + std::to_string(port)), done_(std::move(done)) {
  Address to{};
  const socklen_t size = fill(to, address, port);
  if (size == 0) {
    failed_ = EINVAL;
  } else {
    fd_ = ::socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      failed_ = errno;
    } else {
      tune_connection(fd_);
      if (::connect(fd_, &to.any, size) != 0 && errno != EINPROGRESS) failed_ = errno;
    }
  }
  if (failed_ != 0) {
    soon_.reset(new uv_timer_t);
    uv_timer_init(&loop, soon_.get());
    soon_->data = this;
    uv_timer_start(
        soon_.get(), [](uv_timer_t* t) { static_cast<Dial*>(t->data)->on_socket(0); }, 0, 0);
    return;
  }
  watch_.emplace(loop, fd_, static_cast<SocketWatch::Owner&>(*this), true);
  watch_->want(SocketWatch::kWritable);
}

Dial::~Dial() {
  watch_.reset();
  if (fd_ >= 0) ::close(fd_);
}

void Dial::on_socket(uint8_t /*ready*/) {
  int error = failed_;
  if (error == 0) {
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  watch_.reset();
  soon_.reset();
  if (error != 0) {
    const bool ours = error == EMFILE || error == ENFILE;
    return report(Error{ours ? ErrorCode::kThrottled : ErrorCode::kIo,
                        "connecting to " + where_ + ": " + std::strerror(error)});
  }
  report(std::make_unique<PlainSocket>(loop_, std::exchange(fd_, -1)));
}

void Dial::report(Result<std::unique_ptr<PlainSocket>> result) {
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace latchkey::edge
