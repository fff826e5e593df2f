#pragma once
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/link.h"
#include "base/pending.h"
#include "base/task.h"

namespace latchkey {

// Lets a bounded number through at once; the rest wait in the order of their arrival, each no
// longer than its own limit. One loop thread; outlives its passes.
class Turnstile {
 public:
  // A place inside. Destroying it lets the next one in.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : turnstile_(std::exchange(other.turnstile_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(turnstile_, other.turnstile_);
      return *this;
    }
    ~Pass() {
      if (turnstile_ != nullptr) turnstile_->leave();
    }

   private:
    friend class Turnstile;
    explicit Pass(Turnstile& turnstile) : turnstile_(&turnstile) {}
    Turnstile* turnstile_ = nullptr;
  };

  Turnstile(Clock& clock, size_t places) : clock_(clock), free_(places) {}
  Turnstile(const Turnstile&) = delete;

  // kThrottled when no place became free within `limit`. Dropping the task leaves the queue.
  Task<Pass> enter(Millis limit) {
    if (free_ > 0 && queue_.alone()) {
      --free_;
      co_return Pass(*this);
    }
    Waiter self;
    queue_.push_back(self);
    self.alarm = clock_.after(limit, [&self, limit] {
      self.unlink();
      Error late{ErrorCode::kThrottled,
                 "no place became free within " + std::to_string(limit.count()) + " ms"};
      self.turn.resolve(std::move(late));
    });
    Result<Pass> pass = co_await self.turn;
    co_return pass;
  }

  size_t free() const { return free_; }

 private:
  struct Waiter : Link {
    Pending<Pass> turn;
    Alarm alarm;
  };

  // The next one goes in from the loop, not from within ~Pass: no chain of passes that are given
  // back at once can eat the stack.
  void leave() {
    ++free_;
    if (!queue_.alone() && admitting_ == nullptr) {
      admitting_ = clock_.after(Millis(0), [this] { admit(); });
    }
  }
  void admit() {
    const Alarm running = std::move(admitting_);
    while (free_ > 0 && !queue_.alone()) {
      auto& next = static_cast<Waiter&>(queue_.next());
      next.unlink();
      next.alarm.reset();
      --free_;
      next.turn.resolve(Pass(*this));
    }
  }

  Clock& clock_;
  size_t free_;
  Link queue_;       // of Waiter, the first come first
  Alarm admitting_;  // set while somebody may go in at the next turn
};

}  // namespace latchkey
