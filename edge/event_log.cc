#include "edge/event_log.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "base/link.h"
#include "base/pending.h"
#include "base/task_set.h"
#include "edge/event_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxWaiting = 10'000;  // <= 7 KiB each, a few hundred bytes as a rule
constexpr size_t kMaxBatch = 200;       // of one transaction
constexpr Millis kGather = 20ms;        // what is told within goes with one write
constexpr Millis kFirstRetry = 1s;
constexpr Millis kLastRetry = 60s;
constexpr auto kKeep = std::chrono::hours(24 * 270);  // where the teller knows no better

}  // namespace

struct EventLog::Impl {
  struct Flush : Link {
    uint64_t settled = 0;  // it waits until so many are
    Pending<> done;
  };

  Impl(Store& s, std::vector<Listener> l, Clock& c, Log& g, Counts& n)
      : store(s), listeners(std::move(l)), clock(c), log(g), counts(n) {}

  void keep(Event event);
  static Task<> write(Impl& self);
  static Task<> flush(Impl& self);
  // Of those that were told, how many are in the table, or dropped.
  uint64_t settled() const { return counts.told.value() - waiting.size(); }
  void release_later();
  void release();
  void hand_over();

  Store& store;
  const std::vector<Listener> listeners;
  Clock& clock;
  Log& log;
  Counts& counts;

  std::deque<Event> waiting;  // <= kMaxWaiting; the oldest first
  size_t under_way = 0;       // so many of them the store has been given
  bool writing = false;
  bool failing = false;  // the last write did
  Link flushes;          // of Flush
  Alarm releasing;
  TaskSet tasks;  // goes first
};

void EventLog::Impl::keep(Event event) {
  if (waiting.size() == kMaxWaiting) {
    waiting.erase(std::next(waiting.begin(), static_cast<ptrdiff_t>(under_way)));
    counts.dropped.add();
    log.error("events_dropped", "too many events wait for the store: the oldest are not kept");
  }
  waiting.push_back(std::move(event));
  if (!std::exchange(writing, true)) tasks.spawn(write(*this));
}

Task<> EventLog::Impl::write(Impl& self) {
  co_await sleep(self.clock, kGather);
  Millis retry = kFirstRetry;
  while (!self.waiting.empty()) {
    self.under_way = std::min(self.waiting.size(), kMaxBatch);
    const auto end = std::next(self.waiting.begin(), static_cast<ptrdiff_t>(self.under_way));
    std::vector<Event> batch(self.waiting.begin(), end);
    Task<> put = self.store.put_events(std::move(batch));
    const Result<> stored = co_await std::move(put).result();
    const size_t count = std::exchange(self.under_way, 0);
    self.failing = !stored;
    if (stored) {
      const auto written = std::next(self.waiting.begin(), static_cast<ptrdiff_t>(count));
      self.waiting.erase(self.waiting.begin(), written);
      self.counts.written.add(count);
      retry = kFirstRetry;
      self.release_later();
      continue;
    }
    self.log.error("store_write_failed",
                   "events are in memory only until this works: " + stored.error().message);
    self.release_later();
    co_await sleep(self.clock, retry);
    retry = std::min(2 * retry, kLastRetry);
  }
  self.writing = false;
  co_return Unit{};
}

Task<> EventLog::Impl::flush(Impl& self) {
  if (self.waiting.empty() || self.failing) co_return Unit{};
  Flush waiter;
  waiter.settled = self.counts.told.value();
  self.flushes.push_back(waiter);
  Result<> done = co_await waiter.done;
  co_return done;
}

// From the loop: who waits may destroy us, and the write under way with us.
void EventLog::Impl::release_later() {
  if (flushes.alone() || releasing != nullptr) return;
  releasing = clock.after(Millis(0), [this] { release(); });
}

void EventLog::Impl::release() {
  const Alarm running = std::move(releasing);
  Link ready;
  while (!flushes.alone()) {
    auto& first = static_cast<Flush&>(flushes.next());
    if (first.settled > settled() && !failing) break;
    ready.push_back(first);
  }
  while (!ready.alone()) {
    auto& first = static_cast<Flush&>(ready.next());
    first.unlink();
    first.done.resolve(Unit{});  // may destroy us
  }
}

void EventLog::Impl::hand_over() {
  auto next = std::next(waiting.begin(), static_cast<ptrdiff_t>(under_way));
  while (next != waiting.end()) {
    const auto left = static_cast<size_t>(waiting.end() - next);
    const auto end = std::next(next, static_cast<ptrdiff_t>(std::min(left, kMaxBatch)));
    std::vector<Event> batch(next, end);
    Task<> put = store.put_events(std::move(batch));
    put.start();  // accepted is as good as done
    next = end;
  }
}

EventLog::EventLog(Store& store, std::vector<Listener> listeners, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(store, std::move(listeners), clock, log, counts_)) {}

EventLog::~EventLog() {
  impl_->hand_over();
}

void EventLog::tell(Event event) {
  Impl& self = *impl_;
  const WallTime now = self.clock.wall_now();
  if (event.at == WallTime()) event.at = now;
  if (event.keep_until == WallTime()) event.keep_until = event.at + kKeep;
  event = bounded(std::move(event));
  counts_.told.add();
  for (const Listener& listener : self.listeners) listener(event);
  self.keep(std::move(event));
}

Task<> EventLog::flush() {
  return Impl::flush(*impl_);
}

}  // namespace latchkey::edge
