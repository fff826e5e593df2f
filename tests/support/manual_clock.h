#pragma once
// A clock that moves only when a test says so.

#include <cstdint>
#include <map>
#include <utility>

#include "base/clock.h"

namespace latchkey {

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall_now() const override {
    return start_ + std::chrono::floor<std::chrono::seconds>(now_.time_since_epoch());
  }

  Alarm after(Millis delay, std::function<void()> fire) override {
    const Key key{now_ + delay, ++set_};
    alarms_.emplace(key, std::move(fire));
    return std::make_unique<Entry>(*this, key);
  }

  // Moves time forward, calling what falls due in order. Alarms set on the way fire too.
  void advance(Millis by) {
    const TimePoint end = now_ + by;
    while (!alarms_.empty() && alarms_.begin()->first.first <= end) {
      auto due = alarms_.extract(alarms_.begin());
      now_ = due.key().first;
      due.mapped()();
    }
    now_ = end;
  }

  // Somebody sets the calendar.
  void set_wall_forward(std::chrono::seconds by) { start_ += by; }

  size_t pending() const { return alarms_.size(); }

 private:
  // When, and the how manieth that was set: those of one instant fire in that order.
  using Key = std::pair<TimePoint, uint64_t>;

  class Entry final : public AlarmBase {
   public:
    Entry(ManualClock& clock, Key key) : clock_(clock), key_(key) {}
    ~Entry() override { clock_.alarms_.erase(key_); }

   private:
    ManualClock& clock_;
    const Key key_;
  };

  // Well inside the lives of certificates that tests make.
  WallTime start_ = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  TimePoint now_{};
  uint64_t set_ = 0;
  std::map<Key, std::function<void()>> alarms_;
};

}  // namespace latchkey
