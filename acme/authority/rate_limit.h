#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "cache/lru.h"

namespace latchkey::acme {

// `burst` of something at once and then `burst` in each `per`, for each key (GCRA). The keys that
// were seen longest ago are forgotten, so who comes with many keys is let through rather than
// locking others out. One thread.
class RateLimit {
 public:
  RateLimit(int64_t burst, Millis per, size_t max_keys)
      : step_(per / burst), per_(per), cells_(max_keys, SIZE_MAX) {}

  // How long to wait; 0: now, and it counts, as `weight` (which may be more than what is left: who
  // comes next then waits the longer).
  std::chrono::seconds take(std::string_view key, TimePoint now, int64_t weight = 1);
  // The same, and it does not count.
  std::chrono::seconds wait(std::string_view key, TimePoint now);

 private:
  const Millis step_;
  const Millis per_;
  Lru<Nothing, TimePoint> cells_;  // when all that was taken has been paid back; ~200 bytes each
};

}  // namespace latchkey::acme
