#include "bench/load/engine.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"

namespace latchkey::bench {
namespace {

constexpr size_t kEvents = 128;  // of a turn

}  // namespace

uint64_t micros_between(Time from, Time to) {
  if (to <= from) return 0;
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(to - from).count());
}

Engine::Timer::Timer(Engine& engine, std::function<void()> fire)
    : engine_(engine), fire_(std::move(fire)) {
  engine_.timers_.push_back(this);
}

Engine::Timer::~Timer() {
  std::erase(engine_.timers_, this);
}

void Engine::Timer::set(Time at) {
  at_ = at;
}

Engine::Engine() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_ >= 0);
}

Engine::~Engine() {
  close(epoll_);
}

void Engine::run() {
  stopped_ = false;
  std::array<epoll_event, kEvents> events;
  while (!stopped_) {
    Time time = now();
    fire_due(time);
    call_those_for_later();
    if (stopped_) break;

    timespec wait{};
    const Time next = next_timer();
    if (next == Time::max()) {
      wait.tv_sec = 1;
    } else if (later_.alone()) {
      const auto left = std::max<int64_t>(0, Span(next - now()).count());
      wait.tv_sec = left / 1'000'000'000;
      wait.tv_nsec = left % 1'000'000'000;
    }
    if (!later_.alone()) wait = {};
    const int n = epoll_pwait2(epoll_, events.data(), kEvents, &wait, nullptr);
    CHECK(n >= 0 || errno == EINTR);
    batch_.clear();
    for (int i = 0; i < n; ++i) {
      batch_.push_back(static_cast<Watcher*>(events[static_cast<size_t>(i)].data.ptr));
    }
    for (batch_at_ = 0; batch_at_ < batch_.size() && !stopped_; ++batch_at_) {
      if (Watcher* watcher = batch_[batch_at_]) watcher->on_ready(events[batch_at_].events);
    }
    batch_.clear();
  }
}

void Engine::watch(int fd, Watcher& watcher, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void Engine::rewatch(int fd, Watcher& watcher, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Engine::forget(Watcher& watcher) {
  watcher.later_.unlink();
  for (size_t i = batch_at_; i < batch_.size(); ++i) {
    if (batch_[i] == &watcher) batch_[i] = nullptr;
  }
}

void Engine::call_later(Watcher& watcher) {
  watcher.later_.owner = &watcher;
  later_.push_back(watcher.later_);
}

void Engine::fire_due(Time time) {
  // A timer may set itself and others anew, or remove any of them.
  for (size_t i = 0; i < timers_.size() && !stopped_; ++i) {
    Timer* timer = timers_[i];
    if (timer->at_ > time) continue;
    timer->at_ = Time::max();
    timer->fire_();
  }
}

Time Engine::next_timer() const {
  Time next = Time::max();
  for (const Timer* timer : timers_) next = std::min(next, timer->at_);
  return next;
}

void Engine::call_those_for_later() {
  Link now_due;
  now_due.take(later_);
  while (!now_due.alone()) {
    auto& later = static_cast<Watcher::Later&>(now_due.next());
    later.unlink();
    later.owner->on_ready(0);
  }
}

}  // namespace latchkey::bench
