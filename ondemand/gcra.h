#pragma once
#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace latchkey {

// A token bucket: `burst` tokens, and one comes back every `interval`.
struct Rate {
  int64_t burst = 1;
  Millis interval{1000};

  // `count` in `per`, all of them at once if need be. Rounded to the slower side.
  static Rate of(int64_t count, Millis per) {
    return {count, std::max(Millis(1), (per + Millis(count - 1)) / count)};
  }
  // The same pace, of whose tokens only that share is used at once.
  Rate with_share(int64_t percent) const {
    return {std::max<int64_t>(1, burst * percent / 100), interval};
  }
  friend bool operator==(const Rate&, const Rate&) = default;
};

// The generic cell rate algorithm: a token bucket in one number, the time at which it is full
// again. A value; time is a parameter.
struct Gcra {
  TimePoint full_at = TimePoint::min();
  TimePoint held_until = TimePoint::min();  // nothing before then, whatever the tokens say

  // When a token can be taken such that `keep` stay; <= now: at once.
  TimePoint free_at(const Rate& rate, int64_t keep = 0) const {
    return std::max(held_until, full_at == TimePoint::min()
                                    ? TimePoint::min()
                                    : full_at - rate.interval * (rate.burst - 1 - keep));
  }
  // Also beyond what is there: the debt delays who comes next.
  void take(const Rate& rate, TimePoint now) { full_at = std::max(full_at, now) + rate.interval; }
  // One that was taken comes back; a full bucket stays as full as it is.
  void give_back(const Rate& rate) { full_at -= rate.interval; }
  int64_t tokens(const Rate& rate, TimePoint now) const {
    if (full_at <= now) return rate.burst;
    const int64_t missing = (full_at - now + rate.interval - Millis(1)) / rate.interval;
    return std::max<int64_t>(0, rate.burst - missing);
  }
  bool idle(TimePoint now) const { return full_at <= now && held_until <= now; }
};

}  // namespace latchkey
