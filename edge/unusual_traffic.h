#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace latchkey::edge {

// Notices when ten minutes bring over five times what ten minutes of the day before brought on
// average. Pure: time is a parameter. 6 KiB.
class UnusualTraffic {
 public:
  static constexpr uint64_t kFloor = 50;  // fewer in ten minutes are never unusual

  struct Finding {
    uint64_t requests = 0;  // of the last ten minutes
    uint64_t usual = 0;     // the day's mean for as long
  };
  // `total`: all requests so far; one that is less than the last time began anew. Call it every
  // minute. A finding when it becomes unusual: once until it is usual again, at most once an hour,
  // and not in the first hour, which has nothing to compare with.
  std::optional<Finding> count(uint64_t total, TimePoint now);

 private:
  static constexpr int64_t kRecent = 10;  // minutes
  static constexpr int64_t kDay = 1440;   // minutes that the mean is taken of
  static constexpr int64_t kMinutes = kDay + kRecent;

  uint64_t& slot(int64_t minute) { return by_minute_[static_cast<size_t>(minute % kMinutes)]; }
  void move_to(int64_t minute);

  std::array<uint64_t, kMinutes> by_minute_{};  // requests of each; a ring
  uint64_t recent_ = 0;                         // sum of the last ten, this one too
  uint64_t day_ = 0;                            // sum of all before them
  std::optional<uint64_t> total_;
  int64_t first_ = 0, minute_ = 0;  // that we saw; since the clock's beginning
  bool unusual_ = false;
  std::optional<TimePoint> told_;
};

}  // namespace latchkey::edge
