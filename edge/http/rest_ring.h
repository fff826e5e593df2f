#pragma once
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/link.h"

namespace latchkey::edge {

// Sessions between requests. All may rest equally long, so that who came first is over first: one
// alarm for all of them, where one of its own would cost each 88 bytes. Each is in it once at most,
// by a link of its own: the ring grows with the connections, and holds no memory. One thread.
class RestRing {
 public:
  class Member : private Link {
   protected:
    Member() = default;
    ~Member() = default;
    bool in_ring() const { return !alone(); }
    void leave_ring() { unlink(); }
    // In the ring: when it is over. Meanwhile the session may have become busy again: it is asked
    // all the same.
    TimePoint rests_until() const { return until_; }

   private:
    friend class RestRing;
    // Not in the ring any more. May destroy the member.
    virtual void on_rested() = 0;

    TimePoint until_{};
  };

  explicit RestRing(Clock& clock) : clock_(clock) {}

  // False: others in the ring rest longer than that, and the member needs an alarm of its own.
  bool join(Member& joining, TimePoint until) {
    joining.unlink();
    const bool first = ring_.alone();
    if (!first && member(ring_.previous()).until_ > until) return false;
    ring_.push_back(joining);
    joining.until_ = until;
    if (first && (alarm_ == nullptr || rings_at_ > until)) set_alarm();
    return true;
  }

 private:
  static Member& member(Link& link) { return static_cast<Member&>(link); }

  void set_alarm() {
    rings_at_ = member(ring_.next()).until_;
    const Millis delay = std::max(Millis(0), rings_at_ - clock_.now());
    alarm_ = clock_.after(delay, [this] {
      const Alarm fired = std::move(alarm_);
      const TimePoint now = clock_.now();
      while (!ring_.alone() && member(ring_.next()).until_ <= now) {
        Member& first = member(ring_.next());
        first.unlink();
        first.on_rested();
      }
      if (!ring_.alone() && alarm_ == nullptr) set_alarm();
    });
  }

  Clock& clock_;
  Link ring_;
  TimePoint rings_at_{};  // of alarm_, if it is set
  Alarm alarm_;           // of the first, or of one that has left
};

}  // namespace latchkey::edge
