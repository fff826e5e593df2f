#pragma once
#include <atomic>
#include <functional>
#include <unordered_map>

#include "base/link.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey::edge {

// A handshake that can wait for its certificate. Destroying it leaves the queue.
class Parked : public Link {
 public:
  // The outcome is here. May destroy this and others.
  virtual void resume(const Result<CertificatePtr>& outcome) = 0;

 protected:
  ~Parked() = default;
};

// The handshakes of one worker that wait for certificates, by name. Only the first for a name
// bothers the control thread. Worker thread; `total` counts over all workers.
class Parking {
 public:
  struct Limits {
    size_t total;     // exact, over all workers
    size_t per_name;  // in each worker
  };
  // Asks the control thread for the name's outcome; it answers by resume().
  using Want = std::function<void(const ServerName&)>;

  Parking(Limits limits, std::atomic<size_t>& total, Want want);
  Parking(const Parking&) = delete;

  // False: over a bound, the newest is to be refused.
  bool park(const ServerName& name, Parked& handshake);
  // To be called by a parked handshake that goes, once for each park() that was not resumed.
  void leave(const ServerName& name, Parked& handshake);

  void resume(const ServerName& name, const Result<CertificatePtr>& outcome);

 private:
  struct Waiting {
    Link handshakes;
    size_t count = 0;
  };

  const Limits limits_;
  std::atomic<size_t>& total_;
  const Want want_;
  // One per name that control was asked for and has not answered; stays when its visitors leave.
  // Each began with a parked handshake (<= limits_.total), and control answers all that its gate
  // has no room for at once (Gate's max_flights).
  std::unordered_map<ServerName, Waiting> waiting_;
};

}  // namespace latchkey::edge
