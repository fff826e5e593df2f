#pragma once
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace latchkey::test {

// Looks every few milliseconds until `holds()` does; false if it does not within the limit.
template <typename Condition>
bool eventually(Condition holds, Millis limit = Millis(10'000)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  return true;
}

// Measures from its making on.
class Stopwatch {
 public:
  Millis elapsed() const {
    return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start_);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace latchkey::test
