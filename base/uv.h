#pragma once
// libuv handles with C++ lifetimes.

#include <uv.h>

#include <memory>
#include <utility>

#include "base/clock.h"

namespace latchkey {

// libuv keeps using a handle until it calls the close callback, at some later turn of the loop.
// A UvPtr may be dropped at any moment: no callback comes after that, and the memory follows.
// REQUIRES: the handle was initialised by its uv_*_init.
struct UvClose {
  template <typename H>
  void operator()(H* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* h) { delete reinterpret_cast<H*>(h); });
  }
};
template <typename H>
using UvPtr = std::unique_ptr<H, UvClose>;

class UvClock final : public Clock {
 public:
  explicit UvClock(uv_loop_t& loop) : loop_(loop) {}

  TimePoint now() const override { return TimePoint(Millis(uv_now(&loop_))); }
  WallTime wall_now() const override {
    return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  Alarm after(Millis delay, std::function<void()> fire) override {
    return std::make_unique<UvAlarm>(loop_, delay, std::move(fire));
  }

 private:
  class UvAlarm final : public AlarmBase {
   public:
    UvAlarm(uv_loop_t& loop, Millis delay, std::function<void()> fire) : fire_(std::move(fire)) {
      uv_timer_init(&loop, timer_.get());
      timer_->data = this;
      const auto millis = delay.count() > 0 ? static_cast<uint64_t>(delay.count()) : 0;
      uv_timer_start(timer_.get(), &UvAlarm::on_timer, millis, 0);
    }

   private:
    static void on_timer(uv_timer_t* timer) {
      auto fire = std::move(static_cast<UvAlarm*>(timer->data)->fire_);
      fire();  // may destroy the alarm
    }

    std::function<void()> fire_;
    UvPtr<uv_timer_t> timer_{new uv_timer_t};
  };

  uv_loop_t& loop_;
};

}  // namespace latchkey
