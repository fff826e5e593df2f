#pragma once
#include <atomic>
#include <cstdint>

namespace latchkey {

// A number that only grows; any thread may add. What cannot be logged one by one is counted.
class Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace latchkey
