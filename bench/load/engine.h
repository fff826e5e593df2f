#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/link.h"

namespace latchkey::bench {

using SteadyClock = std::chrono::steady_clock;
using Time = SteadyClock::time_point;
using Span = std::chrono::nanoseconds;

// Microseconds from one moment to another; 0 if the second came first.
uint64_t micros_between(Time from, Time to);

// One thread's loop over epoll. Everything that is made with an engine is used on the thread that
// runs it.
class Engine {
 public:
  // Somebody who is called when a descriptor is ready.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // `events`: of epoll. May also be called without cause, after which nothing is to happen.
    virtual void on_ready(uint32_t events) = 0;

   private:
    friend class Engine;
    struct Later : Link {
      Watcher* owner = nullptr;
    };
    Later later_;
  };

  // A call at a moment. Meant for a handful in an engine: each turn looks at all of them.
  class Timer {
   public:
    Timer(Engine& engine, std::function<void()> fire);
    ~Timer();
    Timer(const Timer&) = delete;

    void set(Time at);  // instead of what was set
    void clear() { set(Time::max()); }
    bool is_clear() const { return at_ == Time::max(); }

   private:
    friend class Engine;
    Engine& engine_;
    const std::function<void()> fire_;
    Time at_ = Time::max();
  };

  Engine();
  ~Engine();
  Engine(const Engine&) = delete;

  static Time now() { return SteadyClock::now(); }

  // Until stop(): timers that are due, then descriptors that are ready, again and again.
  void run();
  void stop() { stopped_ = true; }

  // Level-triggered. The kernel forgets a descriptor when it is closed; forget() is for us.
  void watch(int fd, Watcher& watcher, uint32_t events);
  void rewatch(int fd, Watcher& watcher, uint32_t events);
  void forget(Watcher& watcher);  // REQUIRES: its descriptor is closed or about to be
  // Calls on_ready(0) in the next turn of the loop, once.
  void call_later(Watcher& watcher);

 private:
  void fire_due(Time now);
  Time next_timer() const;
  void call_those_for_later();

  int epoll_;
  bool stopped_ = false;
  std::vector<Timer*> timers_;
  Link later_;
  std::vector<Watcher*> batch_;  // of this turn, not called yet; null: forgotten
  size_t batch_at_ = 0;
};

}  // namespace latchkey::bench
