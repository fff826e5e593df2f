#include "base/uv_clock.h"

#include <utility>

#include "base/check.h"

namespace latchkey {

class UvClock::Pending final : public AlarmBase {
 public:
  Pending(UvClock& clock, std::function<void()> fire) : clock_(clock), fire_(std::move(fire)) {}
  ~Pending() override {
    if (place_ != kFired) clock_.remove(place_);
  }

  static constexpr size_t kFired = ~size_t{0};

  UvClock& clock_;
  std::function<void()> fire_;
  size_t place_ = kFired;  // in the heap
};

UvClock::UvClock(uv_loop_t& loop) : loop_(loop) {
  uv_timer_init(&loop, timer_.get());
  timer_->data = this;
  uv_idle_init(&loop, soon_.get());
  soon_->data = this;
}

UvClock::~UvClock() {
  CHECK(heap_.empty());
}

Alarm UvClock::after(Millis delay, std::function<void()> fire) {
  auto alarm = std::make_unique<Pending>(*this, std::move(fire));
  const auto millis = delay.count() > 0 ? static_cast<uint64_t>(delay.count()) : 0;
  const Entry entry{uv_now(&loop_) + millis, next_number_++, alarm.get()};
  heap_.emplace_back();
  rise(heap_.size() - 1, entry);
  if (alarm->place_ == 0) ring_for_the_first();
  return alarm;
}

void UvClock::put(size_t at, Entry entry) {
  heap_[at] = entry;
  entry.alarm->place_ = at;
}

void UvClock::rise(size_t at, Entry entry) {
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (!entry.before(heap_[parent])) break;
    put(at, heap_[parent]);
    at = parent;
  }
  put(at, entry);
}

void UvClock::sink(size_t at, Entry entry) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(entry)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, entry);
}

// The timer stays as it is: a ring for nothing is cheaper than a new one for each that is called
// off.
void UvClock::remove(size_t at) {
  heap_[at].alarm->place_ = Pending::kFired;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && last.before(heap_[(at - 1) / 2])) {
    rise(at, last);
  } else {
    sink(at, last);
  }
}

void UvClock::ring_for_the_first() {
  const uint64_t due = heap_.front().due;
  if (rings_at_ != 0 && rings_at_ <= due) return;
  rings_at_ = due;
  const uint64_t now = uv_now(&loop_);
  if (due <= now) {
    // A timer of no time that is set in a timer's callback would fire in the same turn, for ever.
    uv_idle_start(soon_.get(), [](uv_idle_t* soon) {
      uv_idle_stop(soon);
      static_cast<UvClock*>(soon->data)->fire_what_is_due();
    });
    return;
  }
  uv_timer_start(
      timer_.get(),
      [](uv_timer_t* timer) { static_cast<UvClock*>(timer->data)->fire_what_is_due(); }, due - now,
      0);
}

void UvClock::fire_what_is_due() {
  rings_at_ = 0;
  const uint64_t now = uv_now(&loop_), newest = next_number_;
  // Alarms of their making come at the next turn, or who rearms one forever would hold up the loop.
  while (!heap_.empty() && heap_.front().due <= now && heap_.front().number < newest) {
    Pending& alarm = *heap_.front().alarm;
    remove(0);
    const auto fire = std::move(alarm.fire_);
    fire();  // may destroy the alarm
  }
  if (!heap_.empty()) ring_for_the_first();
}

}  // namespace latchkey
