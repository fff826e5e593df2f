#pragma once
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "base/link.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "edge/parking_bounds.h"

namespace latchkey::edge {

// A handshake that can wait for its certificate. It is to leave() before it goes.
class Parked : public Link {
 public:
  // The outcome is here. May destroy this and others.
  virtual void resume(const Result<CertificatePtr>& outcome) = 0;

 protected:
  ~Parked() = default;

 private:
  friend class Parking;
  struct Waiting {  // those of one name that one answer is for
    Link handshakes;
    size_t count = 0;
    bool answered = false;  // control need not hear of who leaves now
  };
  Waiting* waiting_ = nullptr;  // while it is parked
  ParkingBounds::Place bounded_;
};

// The handshakes of one worker that wait for certificates of one Slot, by name. Only the first for
// a name bothers the control thread; after that it hears when nobody waits any longer, and when
// somebody does again. Worker thread.
class Parking {
 public:
  // Handshakes resumed in one turn of the loop, for all names: each may cost a signature, and
  // everybody else's I/O waits for them. The names take turns.
  static constexpr size_t kAtOnce = 64;
  static constexpr size_t kRsaAtOnce = 8;  // RSA signatures take ten to twenty times as long

  // To the control thread. It answers each `want` by resume(), also when all visitors have left.
  struct Letters {
    std::function<void(const ServerName&)> want;
    std::function<void(const ServerName&)> left;  // the last visitor, before the outcome
    std::function<void(const ServerName&)> back;  // somebody, after `left`
  };

  Parking(ParkingBounds& bounds, Clock& clock, Letters letters, size_t at_once = kAtOnce);
  Parking(const Parking&) = delete;

  // The bound that it would break, so that the newest is to be refused; or nothing.
  std::optional<ParkingBounds::Bound> park(const ServerName& name, const SourcePrefix& source,
                                           Parked& handshake);
  // To be called by a parked handshake that goes, once for each park() that was not resumed.
  void leave(const ServerName& name, Parked& handshake);

  // Control's answer, to those that wait now: up to `at_once` of them hear it from within, the
  // others in following turns. Until then they may leave(); who parks meanwhile asks anew.
  void resume(const ServerName& name, const Result<CertificatePtr>& outcome);

 private:
  using Names = std::unordered_map<ServerName, Parked::Waiting>;
  struct Answered {
    Names::node_type name;
    Result<CertificatePtr> outcome;
  };

  void go_on();

  ParkingBounds& bounds_;
  Clock& clock_;
  const Letters letters_;
  // One per name that control was asked for and has not answered; stays when its visitors leave.
  // Each began with a parked handshake, and control answers all that its gate has no room for at
  // once (Gate's max_flights).
  Names waiting_;
  // Those whose outcome is here, and who have not heard it yet. No more than are parked, and those
  // that left since the last turn.
  std::list<Answered> answered_;
  const size_t at_once_;
  size_t left_;      // that may still be resumed in this turn
  Alarm next_turn_;  // null: left_ is at_once_
};

}  // namespace latchkey::edge
