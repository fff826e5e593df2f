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
#include "cache/certificate_cache.h"
#include "cache/store.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/issuances.h"
#include "ondemand/lane.h"
#include "ondemand/ledger.h"
#include "policy/policy.h"

namespace latchkey {

// What stands between a name without a certificate in memory and a certificate (design 1, "the
// gate", steps 2 to 8): what is remembered, store, ledger, policy, then Issuances. The Gate makes
// sure that it runs once at a time for a name. Control thread.
class Coordinator {
 public:
  // What becomes of a visit whose certificate has expired, when there is no new one.
  enum class Expired { kServe, kSelfSigned, kRefuse };

  struct Options {
    bool refuse_denied = false;       // what policy denies is refused though a certificate is there
    Millis recheck_every{3'600'000};  // with refuse_denied, of names that are served
    Expired expired = Expired::kServe;
    Millis expired_patience{5'000};  // so long an order may take before the old one is served
    bool http_fallback = false;      // port 80 serves names whose certificate cannot be renewed
  };
  struct Counts {
    Counter from_store, denied, unknown;
    Counter refused_again;  // by what was remembered, without I/O
    Counter too_early;      // by the ledger
    Counter new_names_over_limit;
    Counter expired_served, self_signed_served;
  };
  using Later = Issuances::Later;
  // A certificate that nobody trusts, for a name whose own has expired.
  using StandIn = std::function<Result<CertificatePtr>(const ServerName& name)>;
  // What port 80 is to do for a name.
  enum class Plain { kUnknown, kServed, kPlainOnly };

  struct Parts {
    Store& store;
    Policy& policy;
    Budget& budget;
    BudgetKeeper& keeper;
    CertificateCache& cache;
    Ledger& ledger;
    Issuances& issuances;
    Later later;
    StandIn stand_in;
    Clock& clock;
    Log& log;
    // Could an order for a wildcard be made for a name with that grant? Empty: no.
    std::function<bool(const GrantPtr&)> proves_wildcards{};
    // A certificate came from the store into memory.
    std::function<void(const ServerName&, Slot, const CertificatePtr&)> loaded{};
  };
  // All outlive us. Listens to the store's writes.
  Coordinator(Options options, Parts parts);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;

  // What comes back is stored and cached; or, where a certificate has expired and no new one came
  // in time, what Options::expired says. Errors: kDenied when policy says no; anything else is a
  // failure for now (kThrottled: not before retry_after). Dropping the task leaves the order to its
  // end.
  // Where the grant asks for it, the order is for the wildcard that covers the name.
  Task<CertificatePtr> obtain(ServerName name, Want& want) {
    return obtain(std::move(name), Slot::kMain, want);
  }
  // kRsa: for clients that cannot do ECDSA; where the name is to have an RSA certificate anyway it
  // is that one.
  Task<CertificatePtr> obtain(ServerName name, Slot slot, Want& want);

  // Is the name served, or would it be at a visit? For redirects from port 80. Orders nothing, but
  // an allowed name without a certificate is wanted from then on.
  Task<Plain> may_be_served(ServerName name, Want& want);

  // Asks the policy again about a name that is served from memory, and does what it says: a new
  // grant takes effect; a denied name is served on or refused, by refuse_denied. The same of a name
  // that a wildcard in memory serves and about which nobody was asked yet; the wildcard goes on
  // serving it whatever the answer is.
  Task<Unit> recheck(ServerName name, Want& want);

  // Deletes all there is about the name, in memory and in the store. Who calls it has called off
  // the work under way, and does both again afterwards: a visit may have brought something back.
  Task<> forget(ServerName name);
  void forget_in_memory(const ServerName& name);
  // The name may be tried again at once.
  Task<> forget_failures(ServerName name);

  // Writes to the store are told to us; who else wants to know of them does so here.
  std::function<void(const ServerName& name, Slot slot, const CertificatePtr&)> on_stored;

  const Counts& counts() const { return counts_; }

 private:
  // A visit as far as it got: what there is of an old certificate.
  struct Visit {
    Slot slot = Slot::kMain;
    NameRecord record{};
    CertificatePtr expired{};
  };

  Task<CertificatePtr> find_or_issue(ServerName name, Want& want, Visit& visit);
  // The error to refuse with at once: nothing usable is stored for the name, and what is remembered
  // of it forbids an order.
  std::optional<Error> remembered_refusal(const ServerName& name, Slot slot);
  // The ledger's word. `known`: what the policy says without asking.
  std::optional<Error> too_early(const ServerName& name, const Decision& known) const;
  // Null: there is none that can be served.
  Task<CertificatePtr> look_in_store(ServerName name, Visit& visit);
  Task<CertificatePtr> serve_stored(ServerName name, Slot slot, NameRecord record);
  void keep_in_memory(const ServerName& name, Slot slot, const CertificatePtr& certificate,
                      NameExtras beside);
  // The wildcard that is to be ordered for the name; nullopt: the name itself is.
  std::optional<ServerName> wildcard_for(const ServerName& name, const GrantPtr& grant) const;
  Task<CertificatePtr> issue_wildcard(ServerName name, ServerName wildcard, Decision decision,
                                      Want& want, Visit& visit);
  // One token for a name that the endpoint allows and that is new here.
  std::optional<Error> over_new_name_limit(const ServerName& name, const Decision& decision,
                                           const Visit& visit);
  CertificatePtr expired_in_memory(const ServerName& name, Slot slot) const;
  Task<CertificatePtr> issue(Issuances::Job job, Want& want, bool has_expired);
  Result<CertificatePtr> instead_of_fresh(const ServerName& name, const Visit& visit, Error why);
  Plain served_or_plain(const ServerName& name, const CertificatePtr& certificate) const;
  Error denied(const ServerName& name, const Decision& decision);
  NameExtras extras(const Decision& decision);
  bool may_keep_invented();
  void stored(const ServerName& name, Slot slot, const CertificatePtr& certificate);
  NameMarks& absent(Slot slot) { return slot == Slot::kMain ? absent_ : absent_twins_; }

  const Options options_;
  const Parts parts_;
  Counts counts_;
  NameMarks absent_{1 << 17};        // nothing usable is stored for them
  NameMarks absent_twins_{1 << 14};  // ... in Slot::kRsa
  NameMarks admitted_{1 << 16};      // have had their token of the limit on new names
  bool endpoint_routes_ = false;     // it has granted an upstream to some name
  TimePoint kept_since_{};           // of an hour
  int kept_ = 0;                     // since then: verdicts of names that only a wildcard covers
};

}  // namespace latchkey
