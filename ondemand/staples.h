#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/events.h"

namespace latchkey {

// A responder's verified word on a certificate.
struct StapleAnswer {
  enum class Status { kGood, kRevoked };
  Status status = Status::kGood;
  StaplePtr staple{};     // kGood
  std::string reason{};   // kRevoked: RFC 5280's word, "keyCompromise"; "unspecified"
  WallTime revoked_at{};  // kRevoked
};

// Who asks responders; the real one is edge/ocsp_source.h. Control thread.
class StapleSource {
 public:
  virtual ~StapleSource() = default;
  // REQUIRES: the certificate has an ocsp_responder() and its issuer in the chain. Errors say what
  // is wrong with the answer (too old, not signed by who may, another certificate's, ...) or with
  // the way there. kNotFound: the responder works, but does not know this certificate. Bounded in
  // time.
  virtual Task<StapleAnswer> fetch(CertificatePtr certificate) = 0;
};

// Keeps staples fresh (design 6): asked for in the background, never by a handshake; refreshed at
// half of their life with jitter; persisted; dropped when they expire. No scan: the store's index
// on look_at says what is due; configured certificates are looked at from memory. Work is bounded,
// in all and per responder, and spread. A failure leaves the staple in use until it expires, and is
// tried again after a minute, doubling to an hour. Control thread.
//
// Time, as for renewals: alarms are monotonic, rows are calendar time, which may jump. After a jump
// forward all is due, by the bounds above; what seems expired is deleted only when the clock has
// said so for a day. After a jump back rows that lie too far ahead are due at once.
class Staples {
 public:
  struct Options {
    bool enabled = true;
    size_t max_fetching = 16;  // at once
    size_t max_fetching_per_responder = 4;
    Millis look_again{60'000};  // at the latest, whatever the index says
  };
  struct Counts {
    Counter fetched, failed, revoked, dropped;
  };
  // The responder says that it is revoked. Told once for a certificate and a life of the process.
  using Revoked = std::function<void(const ServerName& name, Slot slot,
                                     const CertificatePtr& certificate, const std::string& reason)>;
  struct Parts {
    Store& store;
    CertificateCache& cache;
    StapleSource& source;
    EventSink& events;
    Clock& clock;
    Log& log;
    Revoked revoked;
  };
  Staples(Options options, Parts parts);
  ~Staples();
  Staples(const Staples&) = delete;

  void start();
  // Asks nobody any more; until start(). Who waits for a staple goes on without.
  void stop();

  // One that was stored, or loaded from the store, and that handshakes are served with: where it
  // has a responder and no good staple, it is fetched soon (unless the store knows when to).
  void see(const ServerName& name, Slot slot, const CertificatePtr& certificate);
  // The configured ones by now.
  void set_configured(std::vector<ConfiguredCertificate> certificates);

  // For a certificate that is about to replace one that had a staple: itself with a staple, if one
  // can be had within `patience`; else itself. Never fails. Dropping the task leaves the fetch.
  Task<CertificatePtr> with_staple(ServerName name, Slot slot, CertificatePtr certificate,
                                   Millis patience);

  const Counts& counts() const { return counts_; }

 private:
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey
