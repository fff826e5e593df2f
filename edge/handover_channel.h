#pragma once
#include <uv.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "base/uv.h"
#include "edge/socket.h"

namespace latchkey::edge {

// Messages between the two processes of an upgrade, each a short line of words. Control thread.
class HandoverChannel {
 public:
  static constexpr size_t kMaxMessage = 1024;  // bytes
  static constexpr size_t kMaxUnsent = 65'536;

  // The two ends, close-on-exec.
  static Result<std::pair<Socket, Socket>> make();

  explicit HandoverChannel(Socket end) : end_(std::move(end)) {}
  HandoverChannel(const HandoverChannel&) = delete;

  // Before there is a loop. The next message; kTimeout, kIo when the other side is gone, kProtocol
  // when the channel does not work.
  Result<std::string> wait(Millis limit);

  // Both may destroy this. `on_end` comes once, when the other side is gone.
  struct Callbacks {
    std::function<void(std::string)> on_message;
    std::function<void()> on_end;
  };
  void listen(uv_loop_t& loop, Callbacks callbacks);

  // False: too much is unsent, or the other side is gone. What the kernel has no memory for just
  // now is sent a moment later.
  bool send(std::string message);

 private:
  void update_interest();
  void on_ready(int events);
  bool write_some();
  void write_later();

  Socket end_;
  Callbacks callbacks_;
  UvPtr<uv_poll_t> poll_;           // null: nobody listens
  std::deque<std::string> unsent_;  // <= kMaxUnsent
  size_t unsent_bytes_ = 0;         // of it
  UvPtr<uv_timer_t> pause_;         // set: the kernel had no memory for what is unsent
};

}  // namespace latchkey::edge
