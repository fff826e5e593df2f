#pragma once
// Time, for code that must be testable without waiting.

#include <chrono>
#include <functional>
#include <memory>

namespace latchkey {

using Millis = std::chrono::milliseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Millis>;
// Calendar time, for what outlives the process: certificates, rows in the store.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;

// A pending call. Destroying it silences it; its own callback may destroy it.
class AlarmBase {
 public:
  virtual ~AlarmBase() = default;
};
using Alarm = std::unique_ptr<AlarmBase>;

// The time of one loop. `now` moves only between callbacks, so a callback sees one instant.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall_now() const = 0;
  // Calls `fire` once, no sooner than `delay` from now, never from within this call.
  [[nodiscard]] virtual Alarm after(Millis delay, std::function<void()> fire) = 0;
};

}  // namespace latchkey
