#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace latchkey::edge {

// Between threads that work at different paces: at most `room` wait in it.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t room) : room_(room) {}

  // Waits for room. False: it is closed, and the value was not taken.
  bool push(T value) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [this] { return closed_ || values_.size() < room_; });
    if (closed_) return false;
    values_.push_back(std::move(value));
    has_value_.notify_one();
    return true;
  }
  // Waits for one. Nullopt: it is closed, and what was in it has been taken.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    has_value_.wait(lock, [this] { return closed_ || !values_.empty(); });
    if (values_.empty()) return {};
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    has_room_.notify_one();
    return value;
  }
  // Nothing more goes in; what is in it can still be taken.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    has_value_.notify_all();
    has_room_.notify_all();
  }

 private:
  const size_t room_;
  std::mutex mutex_;
  std::condition_variable has_value_, has_room_;
  std::deque<T> values_;  // guarded by mutex_; <= room_
  bool closed_ = false;   // guarded by mutex_
};

}  // namespace latchkey::edge
