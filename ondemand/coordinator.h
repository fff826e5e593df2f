#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/name_marks.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/turnstile.h"
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/lane.h"
#include "ondemand/ledger.h"
#include "ondemand/order.h"
#include "policy/policy.h"

namespace latchkey {

// What stands between a name without a certificate in memory and a certificate (design 1, "the
// gate", steps 2 to 8): what is remembered, store, ledger, policy, budget, order, store, cache.
// The Gate makes sure that it runs once at a time for a name. Control thread.
class Coordinator {
 public:
  struct Options {
    Millis patience{25'000};          // of visitors, for a place among the orders
    bool refuse_denied = false;       // what policy denies is refused though a certificate is there
    Millis recheck_every{3'600'000};  // with refuse_denied, of names that are served
  };
  struct Counts {
    Counter from_store, denied, unknown, orders, obtained, failed;
    Counter refused_again;  // by what was remembered, without I/O
    Counter too_early;      // by the ledger
    Counter new_names_over_limit;
  };
  // See OrderDesk::order().
  using Order = std::function<Task<OrderOutcome>(OrderJob job, Want& want, bool& began)>;
  // A certificate for the name is wanted though nobody waits, in so long.
  using Later = std::function<void(const ServerName& name, Millis delay)>;

  // All outlive us. Listens to the store's writes.
  Coordinator(Options options, Store& store, Policy& policy, Budget& budget, BudgetKeeper& keeper,
              CertificateCache& cache, Order order, Later later, Clock& clock, Log& log);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;

  // What comes back is stored and cached. Errors: kDenied when policy says no; anything else is a
  // failure for now (kThrottled: not before retry_after). Dropping the task abandons the order.
  Task<CertificatePtr> obtain(ServerName name, Want& want);

  // Is the name served, or would it be at a visit? For redirects from port 80. Orders nothing, but
  // an allowed name without a certificate is wanted from then on.
  Task<bool> may_be_served(ServerName name, Want& want);

  // Asks the policy again about a name that is served from memory, and does what it says: a new
  // grant takes effect; a denied name is served on or refused, by refuse_denied.
  Task<Unit> recheck(ServerName name, Want& want);

  // Deletes all there is about the name, in memory and in the store. Who calls it has called off
  // the work under way, and does both again afterwards: a visit may have brought something back.
  Task<> forget(ServerName name);
  void forget_in_memory(const ServerName& name);
  // The name may be tried again at once.
  Task<> forget_failures(ServerName name);

  Ledger& ledger() { return ledger_; }
  // Of the last self-test; null: none known.
  const Error* store_trouble() const { return store_trouble_ ? &*store_trouble_ : nullptr; }
  const Counts& counts() const { return counts_; }

 private:
  // The error to refuse with at once: nothing usable is stored for the name, and what is remembered
  // of it forbids an order.
  std::optional<Error> remembered_refusal(const ServerName& name);
  // The ledger's word. `known`: what the policy says without asking.
  std::optional<Error> too_early(const ServerName& name, const Decision& known) const;
  // Null: there is none that can be served. Fills `record`.
  Task<CertificatePtr> look_in_store(ServerName name, NameRecord& record);
  Task<CertificatePtr> serve_stored(ServerName name, NameRecord record);
  // One token for a name that the endpoint allows and that is new here.
  std::optional<Error> over_new_name_limit(const ServerName& name, const Decision& decision,
                                           const NameRecord& record);
  Task<CertificatePtr> order_and_store(ServerName name, Decision decision, Want& want);
  Task<> record_failure(ServerName name, OrderOutcome outcome, bool began);
  Task<> test_store();
  Error denied(const ServerName& name, const Decision& decision);
  NameExtras extras(const Decision& decision);
  void stored(const ServerName& name, const Certificate& certificate);

  const Options options_;
  Store& store_;
  Policy& policy_;
  Budget& budget_;
  BudgetKeeper& keeper_;
  CertificateCache& cache_;
  const Order order_;
  const Later later_;
  Clock& clock_;
  Log& log_;
  Counts counts_;
  Ledger ledger_{store_, clock_, log_};
  NameMarks absent_{1 << 17};     // nothing usable is stored for them
  NameMarks admitted_{1 << 16};   // have had their token of the limit on new names
  bool endpoint_routes_ = false;  // it has granted an upstream to some name
  Turnstile testing_{clock_, 1};
  bool store_works_ = false;            // its self-test passed, and nothing failed since
  std::optional<Error> store_trouble_;  // of the last self-test
  TimePoint store_tested_{};            // when it failed
};

}  // namespace latchkey
