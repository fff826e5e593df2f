#pragma once
#include <functional>
#include <optional>
#include <unordered_map>

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
    bool answered = false;  // nobody is to hear of who leaves now
  };
  Waiting* waiting_ = nullptr;  // while it is parked
  ParkingBounds::Place bounded_;
};

// The handshakes of one worker that wait for certificates, by name. Only the first for a name
// bothers the control thread; after that it hears when nobody waits any longer, and when somebody
// does again. Worker thread.
class Parking {
 public:
  // To the control thread. It answers each `want` by resume(), also when all visitors have left.
  struct Letters {
    std::function<void(const ServerName&)> want;
    std::function<void(const ServerName&)> left;  // the last visitor, before the outcome
    std::function<void(const ServerName&)> back;  // somebody, after `left`
  };

  Parking(ParkingBounds& bounds, Letters letters);
  Parking(const Parking&) = delete;

  // The bound that it would break, so that the newest is to be refused; or nothing.
  std::optional<ParkingBounds::Bound> park(const ServerName& name, const SourcePrefix& source,
                                           Parked& handshake);
  // To be called by a parked handshake that goes, once for each park() that was not resumed.
  void leave(const ServerName& name, Parked& handshake);

  void resume(const ServerName& name, const Result<CertificatePtr>& outcome);

 private:
  ParkingBounds& bounds_;
  const Letters letters_;
  // One per name that control was asked for and has not answered; stays when its visitors leave.
  // Each began with a parked handshake, and control answers all that its gate has no room for at
  // once (Gate's max_flights).
  std::unordered_map<ServerName, Parked::Waiting> waiting_;
};

}  // namespace latchkey::edge
