#pragma once
#include <chrono>
#include <optional>

#include "base/clock.h"

namespace latchkey {

// The time of day for what cannot be undone. A wall clock that was put forward is believed when it
// has said so for a day, and until then goes on as it went before; one that was put back is
// believed at once. One thread.
class CautiousTime {
 public:
  explicit CautiousTime(const Clock& clock) : clock_(clock) { believe(); }

  WallTime now() {
    const TimePoint now = clock_.now();
    const WallTime said = clock_.wall_now();
    const WallTime expected = wall_ + std::chrono::floor<std::chrono::seconds>(now - steady_);
    if (said <= expected + kDrift || (doubted_since_ && now - *doubted_since_ >= kPatience)) {
      believe();
      return said;
    }
    if (!doubted_since_) doubted_since_ = now;
    return expected;
  }

 private:
  static constexpr std::chrono::minutes kDrift{30};  // between two calls
  static constexpr std::chrono::hours kPatience{24};

  void believe() {
    steady_ = clock_.now();
    wall_ = clock_.wall_now();
    doubted_since_.reset();
  }

  const Clock& clock_;
  TimePoint steady_{};  // when it was believed last
  WallTime wall_{};     // ... and what it said
  std::optional<TimePoint> doubted_since_{};
};

}  // namespace latchkey
