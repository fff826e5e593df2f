#pragma once
#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/task.h"

namespace latchkey::acme {

// When an issuance must have ended: 10 minutes after its beginning; an hour once it proves by
// DNS-01, as records take their time to be seen. One loop thread.
class Deadline {
 public:
  explicit Deadline(TimePoint began) : began_(began) {}

  TimePoint at() const { return began_ + limit_; }
  Millis limit() const { return limit_; }
  void allow_for_dns() { limit_ = kDnsLimit; }

 private:
  static constexpr Millis kLimit{600'000};
  static constexpr Millis kDnsLimit{3'600'000};

  const TimePoint began_;
  Millis limit_ = kLimit;
};

// `co_await before(clock, deadline, std::move(task))`: as within(), with an end that may be put off
// meanwhile. `deadline` outlives it.
template <typename T>
class [[nodiscard]] Before {
 public:
  Before(Clock& clock, const Deadline& deadline, Task<T> task)
      : clock_(clock), deadline_(deadline), task_(std::move(task)) {}

  bool await_ready() noexcept {
    inner_ = std::move(task_).operator co_await();
    return inner_.await_ready();
  }
  template <typename P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
    watch(parent);
    return inner_.await_suspend(parent);
  }
  T await_resume() { return inner_.await_resume(); }

 private:
  template <typename P>
  void watch(std::coroutine_handle<P> parent) {
    const Millis left = std::max(deadline_.at() - clock_.now(), Millis(0));
    alarm_ = clock_.after(left, [this, parent] {
      if (task_.done()) return;  // it failed; our owner has just not freed us yet
      if (clock_.now() < deadline_.at()) {
        watch(parent);
        return;
      }
      task_ = {};
      Error late{ErrorCode::kTimeout,
                 "took over " + std::to_string(deadline_.limit().count()) + " ms"};
      parent.promise().fail(std::move(late)).resume();
    });
  }

  Clock& clock_;
  const Deadline& deadline_;
  Task<T> task_;
  task_internal::AwaitValue<T> inner_{};
  Alarm alarm_;
};
template <typename T>
Before<T> before(Clock& clock, const Deadline& deadline, Task<T> task) {
  return {clock, deadline, std::move(task)};
}

}  // namespace latchkey::acme
