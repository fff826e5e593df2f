#pragma once
#include <uv.h>

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/uv.h"

namespace latchkey {

// The clock of a libuv loop. Its alarms lie in a heap of our own behind one uv_timer_t: most are
// deadlines that are called off in time, and a call to libuv, with a turn of its loop to close the
// handle, would be made for each. Loop's thread; outlives its alarms.
class UvClock final : public Clock {
 public:
  explicit UvClock(uv_loop_t& loop);
  ~UvClock() override;
  UvClock(const UvClock&) = delete;

  TimePoint now() const override { return TimePoint(Millis(uv_now(&loop_))); }
  WallTime wall_now() const override {
    return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  Alarm after(Millis delay, std::function<void()> fire) override;

 private:
  class Pending;
  // By time, then by age: alarms of one instant fire in the order of their making.
  struct Entry {
    uint64_t due;  // ms, of the loop's time
    uint64_t number;
    Pending* alarm;
    bool before(const Entry& other) const {
      return due != other.due ? due < other.due : number < other.number;
    }
  };

  void put(size_t at, Entry entry);
  void rise(size_t at, Entry entry);
  void sink(size_t at, Entry entry);
  void remove(size_t at);
  void ring_for_the_first();
  void fire_what_is_due();

  uv_loop_t& loop_;
  std::vector<Entry> heap_;  // binary, the soonest first; bounded by who holds alarms
  uint64_t next_number_ = 0;
  uint64_t rings_at_ = 0;  // 0: nothing is set
  UvPtr<uv_timer_t> timer_{new uv_timer_t};
  UvPtr<uv_idle_t> soon_{new uv_idle_t};
};

}  // namespace latchkey
