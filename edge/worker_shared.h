#pragma once
#include <atomic>
#include <functional>
#include <memory>

#include "acme/challenges.h"
#include "base/address_ranges.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/certificate_cache.h"
#include "edge/acme_door.h"
#include "edge/front/counts.h"
#include "edge/http/protection_counts.h"
#include "edge/parking_bounds.h"

namespace latchkey::edge {

// What happened to handshakes; written by all workers.
struct HandshakeCounts {
  Counter accepted, served, challenges;
  Counter refused_name;      // a denied name, or no usable SNI: unrecognized_name
  Counter refused_version;   // no TLS that we speak: protocol_version
  Counter verified_clients;  // of `served`: who have shown a certificate
  Counter refused_clients;   // of `failed`: a certificate was asked for, and none or a bad one came
  Counter refused_temporary;  // no certificate for now: internal_error
  Counter parked, park_timeouts, park_overflows;
  Counter overflows_total, overflows_name, overflows_prefix;  // park_overflows by the bound
  Counter parking_pages;        // handshakes finished with the parking certificate
  Counter default_certificate;  // of `served`: without SNI, with the default certificate
  Counter address_certificate;  // of `served`: without SNI, with that of the address they came to
  Counter served_expired;       // of `served`: with a certificate that has expired
  Counter served_rsa;           // of `served`: to a client that cannot do ECDSA
  Counter stapled;              // of `served`: with an OCSP response
  Counter hello_timeouts;       // of `failed`: the handshake was not done in time
  Counter failed;               // the client's side: no TLS, timeout, gone
};

// What port 80 does for a name.
enum class NameState {
  kUnknown,   // not served here
  kServed,    // it is, or would be, served over TLS: a redirect
  kPlainOnly  // its certificate has expired and cannot be renewed: http_fallback
};

// Counts a connection for as long as it lives.
class ConnectionPlace {
 public:
  explicit ConnectionPlace(std::atomic<size_t>& connections) : connections_(connections) {
    connections_.fetch_add(1, std::memory_order_relaxed);
  }
  ~ConnectionPlace() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  ConnectionPlace(const ConnectionPlace&) = delete;

 private:
  std::atomic<size_t>& connections_;
};

// What all workers share. It outlives them.
struct WorkerShared {
  using Outcome = std::function<void(const Result<CertificatePtr>&)>;
  using Answer = std::function<void(NameState)>;

  CertificateCache& cache;
  acme::ChallengeTable& challenges;
  Log& log;
  HandshakeCounts& counts;
  ProtectionCounts& protections;
  ParkingBounds& parking;  // of handshakes over all workers
  std::atomic<size_t>& connections;

  Millis park_timeout;
  Millis hello_timeout;
  size_t max_descriptors;  // of connections and upstreams, over all workers: beyond it nobody is
                           // accepted until some leave
  size_t workers = 1;      // that share it
  int https_port;          // for redirects; 443 is left out of them
  bool underscore_names;
  bool rsa_twins = true;  // clients that cannot do ECDSA get one
  bool asks = false;      // an ask endpoint has a word about names: their routes, for instance
  AddressRanges proxy_protocol_from{};  // balancers that say who the client is
  std::shared_ptr<FrontCounts> front_counts = std::make_shared<FrontCounts>();
  std::shared_ptr<AcmeDoor> acme{};  // null: no embedded authority is there for others

  // Ask the control thread. The answer comes by mailbox, on the worker that asked, also when all of
  // its visitors have left in the meantime.
  std::function<void(const ServerName&, Slot, Mailbox::Address, Outcome)> want_certificate;
  std::function<void(const ServerName&, Mailbox::Address, Answer)> may_be_served;
  // Nobody waits any more in this worker for a certificate that it wants and that has not come;
  // somebody does again.
  std::function<void(const ServerName&, Slot, Mailbox::Address)> visitors_left;
  std::function<void(const ServerName&, Slot, Mailbox::Address)> visitors_back;
  // CacheHit::recheck_due, and CacheHit::note_use, were said to this worker.
  std::function<void(const ServerName&)> recheck;
  std::function<void(const ServerName&, Slot)> note_use;
};

// What the cache has for a name that somebody wants; tells control what it asks to be told.
inline CacheHit look_up(const WorkerShared& shared, const ServerName& name, WallTime now,
                        Slot slot = Slot::kMain) {
  CacheHit hit = shared.cache.look_up(name, now, slot);
  // Of a name that a wildcard serves nothing is known before it was asked about.
  const bool unknown = shared.asks && hit.certificate != nullptr && !hit.exact && !hit.configured;
  if (hit.recheck_due || unknown) shared.recheck(name);
  if (hit.note_use) shared.note_use(name, slot);
  return hit;
}

}  // namespace latchkey::edge
