#pragma once
// Pending<T>: the bridge from a callback to a co_await.
//
//   Pending<Reply> reply;
//   Call call(url, [&](Result<Reply> r) { reply.resolve(std::move(r)); });  // cancels in ~Call
//   Result<Reply> got = co_await reply;
//
// It lives in the waiting coroutine's frame; who resolves it must have gone before the frame does
// (by RAII, or by a weak_ptr). One loop thread.

#include <coroutine>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace latchkey {

template <typename T = Unit>
class [[nodiscard]] Pending {
 public:
  Pending() = default;
  Pending(const Pending&) = delete;

  // Once. Runs the waiter, which may destroy this.
  void resolve(Result<T> value) {
    CHECK(!value_.has_value());
    value_.emplace(std::move(value));
    if (waiter_) std::exchange(waiter_, {}).resume();
  }

  bool await_ready() const noexcept { return value_.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  Result<T> await_resume() { return *std::move(value_); }

 private:
  std::optional<Result<T>> value_;
  std::coroutine_handle<> waiter_;
};

}  // namespace latchkey
