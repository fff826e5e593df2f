#include "edge/handover_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/file.h"

namespace latchkey::edge {

Result<std::pair<Socket, Socket>> HandoverChannel::make() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return Error{ErrorCode::kIo, "socketpair: " + errno_text(errno)};
  }
  return std::pair(Socket(ends[0]), Socket(ends[1]));
}

Result<std::string> HandoverChannel::wait(Millis limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  pollfd ready{end_.get(), POLLIN, 0};
  int events = -1;
  while (events < 0) {  // signals interrupt it
    const auto left = std::chrono::duration_cast<Millis>(end - std::chrono::steady_clock::now());
    events = ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (events < 0 && errno != EINTR) break;
  }
  if (events != 1) return Error{ErrorCode::kTimeout, "the other process says nothing"};
  std::array<char, kMaxMessage> text{};
  const ssize_t size = ::recv(end_.get(), text.data(), text.size(), 0);
  if (size <= 0) return Error{ErrorCode::kIo, "the other process is gone"};
  return std::string(text.data(), static_cast<size_t>(size));
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
  const int events = UV_READABLE | (unsent_.empty() ? 0 : UV_WRITABLE);
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
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) {
    const auto hear = callbacks_.on_message;
    return hear(std::string(text.data(), static_cast<size_t>(size)));
  }
  poll_.reset();
  const auto end = std::move(callbacks_.on_end);
  end();
}

// False: the other side is gone; that is read, too.
bool HandoverChannel::write_some() {
  while (!unsent_.empty()) {
    const std::string& next = unsent_.front();
    if (::send(end_.get(), next.data(), next.size(), MSG_NOSIGNAL) < 0) {
      if (errno == EAGAIN || errno == EINTR) return true;
      unsent_.clear();
      return false;
    }
    unsent_.pop_front();
  }
  return true;
}

bool HandoverChannel::send(std::string message) {
  CHECK(message.size() <= kMaxMessage);
  if (unsent_.size() >= kMaxUnsent) return false;
  unsent_.push_back(std::move(message));
  const bool alive = write_some();
  update_interest();
  return alive;
}

}  // namespace latchkey::edge
