#pragma once
#include <algorithm>

#include "base/clock.h"

namespace latchkey {

// Stops asking somebody who does not answer. Closed: everybody may ask. After `threshold` failures
// in a row it opens: nobody may, but for one probe every `probe_every`. A success closes it.
// A pure value: time is a parameter. One thread.
class Breaker {
 public:
  struct Options {
    int threshold = 5;
    Millis probe_every{2000};  // no shorter than a probe can take: then there is one at a time
  };

  explicit Breaker(Options options) : options_(options) {}

  // Would admit() say yes?
  bool admits(TimePoint now) const { return !held(now) && (!open() || now >= next_probe_); }
  // May one ask now? While open, yes is said to one caller each `probe_every`: who gets it asks.
  bool admit(TimePoint now) {
    if (!admits(now)) return false;
    if (open()) next_probe_ = now + options_.probe_every;
    return true;
  }
  // Whoever was admitted, and whenever. A hold goes on: it was asked for.
  void succeeded() { failures_ = 0; }
  // While it is open this puts off the next probe. Who wants probes by the clock, whatever comes of
  // questions from before it opened, reports failures only while it is closed.
  void failed(TimePoint now) {
    if (failures_ < options_.threshold) ++failures_;
    if (open()) next_probe_ = std::max(next_probe_, now + options_.probe_every);
  }
  // The other side said to stay away for so long: nobody asks before then, open or not.
  void hold(TimePoint until) { held_until_ = std::max(held_until_, until); }

  bool open() const { return failures_ >= options_.threshold; }
  bool held(TimePoint now) const { return now < held_until_; }
  // When admit() may say yes again; <= now when it would now.
  TimePoint retry_at() const { return open() ? std::max(next_probe_, held_until_) : held_until_; }
  // How long admit() will say no, if nobody else asks first; 0: it says yes.
  Millis wait(TimePoint now) const { return admits(now) ? Millis(0) : retry_at() - now; }

 private:
  Options options_;
  int failures_ = 0;  // in a row; no more than the threshold
  TimePoint next_probe_ = TimePoint::min();
  TimePoint held_until_ = TimePoint::min();
};

}  // namespace latchkey
