#include "edge/handover_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr Millis kNoMemoryPause{20};

bool is_end(int code) {
  return code == EPIPE || code == ECONNRESET;
}

// That something cannot be read or sent just now.
bool is_passing(int code) {
  return code == EAGAIN || code == EINTR || code == ENOBUFS || code == ENOMEM;
}

}  // namespace

Result<std::pair<Socket, Socket>> HandoverChannel::make() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return Error{ErrorCode::kIo, "socketpair: " + errno_text(errno)};
  }
  return std::pair(Socket(ends[0]), Socket(ends[1]));
}

Result<std::string> HandoverChannel::wait(Millis limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    static_cast<void>(write_some());  // that the other side is gone is read, too
    const auto left = std::chrono::duration_cast<Millis>(end - std::chrono::steady_clock::now());
    if (left <= Millis(0)) return Error{ErrorCode::kTimeout, "the other process says nothing"};
    pollfd ready{end_.get(), POLLIN, 0};
    const Millis most = unsent_.empty() ? left : std::min(left, kNoMemoryPause);
    if (::poll(&ready, 1, static_cast<int>(std::min<int64_t>(most.count(), 60'000))) <= 0) continue;
    std::array<char, kMaxMessage> text{};
    const ssize_t size = ::recv(end_.get(), text.data(), text.size(), 0);
    if (size > 0) return std::string(text.data(), static_cast<size_t>(size));
    if (size == 0 || is_end(errno)) return Error{ErrorCode::kIo, "the other process is gone"};
    if (!is_passing(errno)) {
      return Error{ErrorCode::kProtocol,
                   "the channel to the other process does not work: " + errno_text(errno)};
    }
  }
}

void HandoverChannel::listen(uv_loop_t& loop, Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  poll_.reset(new uv_poll_t);
  CHECK(uv_poll_init_socket(&loop, poll_.get(), end_.get()) == 0);
  poll_->data = this;
  update_interest();
}

void HandoverChannel::update_interest() {
  if (poll_ == nullptr) return;
  const bool writes = !unsent_.empty() && pause_ == nullptr;
  const int events = UV_READABLE | (writes ? UV_WRITABLE : 0);
  uv_poll_start(poll_.get(), events, [](uv_poll_t* poll, int status, int ready) {
    // libuv has stopped a poll with an error: reading tells which.
    static_cast<HandoverChannel*>(poll->data)->on_ready(status < 0 ? UV_READABLE : ready);
  });
}

// One message at a time, at the end: hearing it may destroy us.
void HandoverChannel::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0 && write_some()) update_interest();
  if ((events & UV_READABLE) == 0) return;
  std::array<char, kMaxMessage> text{};
  const ssize_t size = ::recv(end_.get(), text.data(), text.size(), 0);
  if (size < 0 && is_passing(errno)) return;
  if (size > 0) {
    const auto hear = callbacks_.on_message;
    return hear(std::string(text.data(), static_cast<size_t>(size)));
  }
  poll_.reset();
  pause_.reset();
  const auto end = std::move(callbacks_.on_end);
  end();
}

// False: the other side is gone; that is read, too.
bool HandoverChannel::write_some() {
  while (!unsent_.empty() && pause_ == nullptr) {
    const std::string& next = unsent_.front();
    if (::send(end_.get(), next.data(), next.size(), MSG_NOSIGNAL) < 0) {
      const int why = errno;
      if (why == ENOBUFS || why == ENOMEM) write_later();
      if (is_passing(why)) return true;
      unsent_.clear();
      unsent_bytes_ = 0;
      return false;
    }
    unsent_bytes_ -= next.size();
    unsent_.pop_front();
  }
  return true;
}

// The socket says that it can be written to all the while.
void HandoverChannel::write_later() {
  if (poll_ == nullptr) return;  // wait() comes back
  pause_.reset(new uv_timer_t);
  CHECK(uv_timer_init(poll_->loop, pause_.get()) == 0);
  pause_->data = this;
  const auto again = [](uv_timer_t* timer) {
    auto* const self = static_cast<HandoverChannel*>(timer->data);
    self->pause_.reset();
    static_cast<void>(self->write_some());
    self->update_interest();
  };
  CHECK(uv_timer_start(pause_.get(), again, static_cast<uint64_t>(kNoMemoryPause.count()), 0) == 0);
}

bool HandoverChannel::send(std::string message) {
  CHECK(message.size() <= kMaxMessage);
  if (unsent_bytes_ + message.size() > kMaxUnsent) return false;
  unsent_bytes_ += message.size();
  unsent_.push_back(std::move(message));
  const bool alive = write_some();
  update_interest();
  return alive;
}

}  // namespace latchkey::edge
