#pragma once
#include <gtest/gtest.h>
#include <uv.h>

#include <chrono>

#include "base/loop.h"
#include "base/task.h"

namespace latchkey::test {

// A loop that a test turns by hand.
class TestLoop {
 public:
  TestLoop() {
    // uv_run(UV_RUN_ONCE) sleeps after a timer's callback if nothing else is due: a beat wakes it.
    uv_timer_init(&loop_.uv(), beat_.get());
    uv_timer_start(
        beat_.get(), [](uv_timer_t*) {}, 2, 2);
  }

  Loop& loop() { return loop_; }
  uv_loop_t& uv() { return loop_.uv(); }
  Clock& clock() { return loop_.clock(); }
  void turn() { uv_run(&loop_.uv(), UV_RUN_ONCE); }

  // Turns until `holds()`; a failure of the test, and false, if that takes over 20 s.
  template <typename Condition>
  bool run_until(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      if (std::chrono::steady_clock::now() >= end) {
        ADD_FAILURE() << "nothing happened for 20 s";
        return false;
      }
      turn();
    }
    return true;
  }

  template <typename T>
  Result<T> finish(Task<T> task) {
    task.start();
    if (!run_until([&] { return task.done(); })) return Error{ErrorCode::kTimeout, "20 s"};
    return std::move(task.outcome());
  }

 private:
  Loop loop_;
  UvPtr<uv_timer_t> beat_{new uv_timer_t};
};

}  // namespace latchkey::test
