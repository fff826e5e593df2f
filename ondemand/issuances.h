#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/link.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pending.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/task_set.h"
#include "base/turnstile.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/events.h"
#include "ondemand/lane.h"
#include "ondemand/ledger.h"
#include "ondemand/order.h"
#include "ondemand/renewal_plan.h"

namespace latchkey {

// Makes orders, one at a time for a name, whoever wants them: visitors, the scheduler, the
// operator. What comes of one is on disk before anybody has it; what came of none is in the ledger
// and in the events. It goes on when those who want it have left. Control thread.
class Issuances {
 public:
  struct Counts {
    Counter orders, obtained, renewed, failed;
  };
  struct Job {
    ServerName name;  // or a wildcard
    Slot slot = Slot::kMain;
    GrantPtr grant{};
    CertificatePtr predecessor{};           // in use, or expired; null: there is none
    std::optional<CertificateInfo> info{};  // of it
    std::optional<PendingOrder> pending{};
    NameExtras extras{};   // to keep beside a first certificate
    bool renewal = false;  // the predecessor is good for a while: failures are retried by its life
  };
  // See OrderDesk::order().
  using Order = std::function<Task<OrderOutcome>(OrderJob job, Want& want, bool& began)>;
  // A certificate for the name is wanted though nobody waits, in so long.
  using Later = std::function<void(const ServerName& name, Millis delay)>;
  // A certificate that is about to replace one that had a staple: with a staple, or without one
  // after a while.
  using AwaitStaple = std::function<Task<CertificatePtr>(SlotName, CertificatePtr)>;

  struct Parts {
    Store& store;
    CertificateCache& cache;
    Ledger& ledger;
    Order order;
    Later later;
    EventSink& events;
    Clock& clock;
    Log& log;
    AwaitStaple await_staple{};                              // empty: nothing is waited for
    std::function<void(const ServerName&)> obtained_main{};  // with a key that is not RSA
  };
  Issuances(Parts parts, RenewalRules rules);
  ~Issuances();
  Issuances(const Issuances&) = delete;

  // The outcome of the order under way for name and slot, started with `job` if there is none; the
  // other slot's goes first where it is under way, for they would answer challenges of the same
  // name; where it fails so that the ledger says wait, this one is not made. `want`: how urgent it
  // is to this caller, and whether it still is. Dropping the task leaves the order.
  Task<CertificatePtr> issue(Job job, Want& want);

  // How long the order under way for the name has been; nullopt: there is none.
  std::optional<Millis> running_for(const SlotName& name) const;
  // Ends the orders under way, of both slots; those who wait get `why`.
  bool call_off(const ServerName& name, const Error& why);
  // ... of all names. What a CA was asked for stays in the store.
  void call_off_all(const Error& why);

  // Does the store work? Tested anew after every failure, but not for every caller.
  Task<> test_store();
  // It has failed somebody else: tested before the next order.
  void doubt_store() { store_works_ = false; }
  // Of the last self-test; null: none known.
  const Error* store_trouble() const { return store_trouble_ ? &*store_trouble_ : nullptr; }
  const Counts& counts() const { return counts_; }
  const RenewalRules& rules() const { return rules_; }
  size_t running() const { return flights_.size(); }

 private:
  struct Flight;
  struct Waiter;

  Task<> fly(Job job, Flight& flight);
  static void land(Flight& flight, const Result<CertificatePtr>& outcome);
  Task<> wait_for_other(SlotName name, Want& want);
  Task<CertificatePtr> order_and_store(Job job, Want& want);
  // REQUIRES: there is a predecessor.
  bool is_stapled(const Job& job) const;
  // The value is what is served from then on.
  Task<CertificatePtr> keep(const Job& job, const OrderOutcome& outcome);
  Task<> record_failure(const Job& job, OrderOutcome outcome, bool began);
  void tell_store(std::string_view kind, std::string text);
  void tell_success(const Job& job, const OrderOutcome& outcome, bool replaced);
  void tell_failure(const Job& job, const OrderOutcome& outcome, bool began, bool charged);

  const Parts parts_;
  const RenewalRules rules_;
  Counts counts_;
  Turnstile testing_;
  bool store_works_ = false;            // its self-test passed, and nothing failed since
  std::optional<Error> store_trouble_;  // of the last self-test
  TimePoint store_tested_{};            // when it failed
  std::minstd_rand random_{std::random_device()()};
  std::unordered_map<SlotName, std::unique_ptr<Flight>> flights_;  // <= the gates' flights
  TaskSet tasks_;                                                  // goes first
};

}  // namespace latchkey
