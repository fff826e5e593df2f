#pragma once
#include <functional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/task_set.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/events.h"
#include "ondemand/gate.h"
#include "ondemand/issuances.h"
#include "ondemand/ledger.h"
#include "ondemand/order.h"
#include "ondemand/renewal_plan.h"
#include "policy/policy.h"

namespace latchkey {

// Renews what is due, with no scan: the store's index on look_at says what to look at and when.
// Each certificate that is looked at is asked about (its CA for a window, the policy whether the
// name is still wanted), renewed through Issuances, or left alone; then it is written down when it
// is looked at next. Work is queued and done with no lock held. Control thread.
class Renewals {
 public:
  struct Options {
    size_t max_looking = 500;    // at once; most of them wait for the budget
    Millis look_again{60'000};   // at the latest, whatever the index says
  };
  struct Counts {
    Counter looked, renewed, failed, denied, unseen, polls, poll_failures;
  };
  // The sources in the configuration's order. All outlive us.
  struct Parts {
    Store& store;
    Policy& policy;
    Ledger& ledger;
    Issuances& issuances;
    CertificateCache& cache;
    std::vector<CertificateSource*> sources;
    EventSink& events;
    Clock& clock;
    Log& log;
  };
  Renewals(Options options, Parts parts);
  ~Renewals();
  Renewals(const Renewals&) = delete;

  // From then on.
  void start();
  // Something was stored, or visited again, that may be due before what was known.
  void look_soon();

  // The operator's word: now, whatever the plan and the ledger say, if the policy allows the name.
  // kNotFound where nothing is stored for exactly that name.
  Task<CertificatePtr> renew_now(ServerName name);

  // A name was visited: written down with others, soon. Bounded: beyond 100 000 in a minute the
  // rest is noted at a later visit.
  void note_use(const ServerName& name);

  const Counts& counts() const { return counts_; }
  size_t looking() const { return looking_.size(); }

 private:
  void schedule(Millis delay);
  Task<> turn();
  Task<> look(CertificateInfo info);
  Task<> write_uses();

  const Options options_;
  const Parts parts_;
  Counts counts_;
  std::minstd_rand random_{std::random_device()()};
  std::unordered_set<ServerName> looking_;  // <= max_looking
  std::vector<ServerName> used_;            // <= 100 000; not yet written
  Alarm alarm_;
  Alarm writing_uses_;
  TimePoint armed_ = TimePoint::max();
  bool turning_ = false;
  TaskSet tasks_;  // goes first
};

}  // namespace latchkey
