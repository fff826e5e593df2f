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

PlainSocket::PlainSocket(uv_loop_t& loop, int fd) : fd_(fd) {
  CHECK(uv_poll_init_socket(&loop, poll_.get(), fd) == 0);
  poll_->data = this;
}

PlainSocket::~PlainSocket() {
  poll_.reset();
  ::close(fd_);
}

void PlainSocket::want(bool read, bool write) {
  const int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
  if (events == polled_) return;
  polled_ = events;
  if (events == 0) {
    uv_poll_stop(poll_.get());
    return;
  }
  uv_poll_start(poll_.get(), events, [](uv_poll_t* poll, int status, int ready) {
    auto* self = static_cast<PlainSocket*>(poll->data);
    if (status < 0) {
      // The socket has an error, and libuv has stopped the poll. It is ready for what was wanted:
      // what had arrived before is still to be read, then read() or write() says how it broke.
      ready = std::exchange(self->polled_, 0);
      if (self->events_ != nullptr)
        self->want((ready & UV_READABLE) != 0, (ready & UV_WRITABLE) != 0);
    }
    if (self->events_ == nullptr) return;
    if ((ready & UV_WRITABLE) != 0) {
      // One event a turn: it may destroy the socket, and the other comes again by itself.
      self->events_->on_writable();
    } else if ((ready & UV_READABLE) != 0) {
      self->events_->on_readable();
    }
  });
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
  if (n < 0) return failed("read");
  if (n == 0) return {Io::kEnd, 0};
  return {Io::kDone, static_cast<size_t>(n)};
}

Transport::Moved PlainSocket::write(std::string_view bytes) {
  if (bytes.empty()) return {Io::kAgain, 0};
  ssize_t n;
  do {
    n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return failed("write");
  return {Io::kDone, static_cast<size_t>(n)};
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
        soon_.get(), [](uv_timer_t* t) { static_cast<Dial*>(t->data)->on_poll(0); }, 0, 0);
    return;
  }
  poll_.reset(new uv_poll_t);
  CHECK(uv_poll_init_socket(&loop, poll_.get(), fd_) == 0);
  poll_->data = this;
  uv_poll_start(poll_.get(), UV_WRITABLE, [](uv_poll_t* poll, int status, int) {
    static_cast<Dial*>(poll->data)->on_poll(status);
  });
}

Dial::~Dial() {
  poll_.reset();
  if (fd_ >= 0) ::close(fd_);
}

void Dial::on_poll(int status) {
  int error = failed_;
  if (error == 0) {
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0 && status < 0) error = -status;
  }
  poll_.reset();
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
