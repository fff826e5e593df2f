#pragma once
// A clock that moves only when a test says so.

#include <map>

#include "base/clock.h"

namespace latchkey {

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall_now() const override {
    return start_ + std::chrono::floor<std::chrono::seconds>(now_.time_since_epoch());
  }

  Alarm after(Millis delay, std::function<void()> fire) override {
    auto it = alarms_.emplace(now_ + delay, std::move(fire));
    return std::make_unique<Entry>(*this, it);
  }

  // Moves time forward, calling what falls due in order. Alarms set on the way fire too.
  void advance(Millis by) {
    const TimePoint end = now_ + by;
    while (!alarms_.empty() && alarms_.begin()->first <= end) {
      auto due = alarms_.extract(alarms_.begin());
      now_ = due.key();
      due.mapped()();
    }
    now_ = end;
  }

  size_t pending() const { return alarms_.size(); }

 private:
  using Alarms = std::multimap<TimePoint, std::function<void()>>;

  class Entry final : public AlarmBase {
   public:
    Entry(ManualClock& clock, Alarms::iterator it)
        : clock_(clock), at_(it->first), fire_(&it->second) {}
    ~Entry() override {
      auto [first, last] = clock_.alarms_.equal_range(at_);
      for (auto it = first; it != last; ++it) {
        if (&it->second != fire_) continue;
        clock_.alarms_.erase(it);
        return;
      }
    }

   private:
    ManualClock& clock_;
    TimePoint at_;
    const void* fire_;
  };

  // Well inside the lives of certificates that tests make.
  WallTime start_ = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  TimePoint now_{};
  Alarms alarms_;
};

}  // namespace latchkey
