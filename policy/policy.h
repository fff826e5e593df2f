#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/store.h"
#include "policy/allowlist.h"
#include "policy/ask_endpoint.h"
#include "policy/verdict.h"
#include "policy/verdict_cache.h"
#include "policy/verdict_writer.h"

namespace latchkey {

// Is a name wanted? The allowlist first, then what the ask endpoint has said, then the endpoint.
// Control thread.
class Policy {
 public:
  struct Options {
    Millis positive_ttl{3'600'000};  // where the endpoint gives no time of its own
    Millis negative_ttl{60'000};
    Millis stale_ttl{86'400'000};  // beyond fresh, while the endpoint says neither yes nor no
    VerdictCache::Limits verdicts{};
    size_t max_unwritten = 10'000;  // verdicts on their way to the store; about 500 bytes each
  };
  struct Counts {
    // What decide() and decide_afresh() said; each counts once, remembered ones included.
    Counter allowed, denied, unknown;
    Counter stale;  // allowed by an old yes because the endpoint was out of order
  };

  // `allowlist` may be replaced at a reload; `ask` is null where no endpoint is configured.
  // `store` keeps the yeses (written behind: a crash may lose the last ones). All outlive us.
  Policy(Options options, std::shared_ptr<const Allowlist> allowlist,
         std::unique_ptr<AskEndpoint> ask, Store& store, Clock& clock, Log& log);
  Policy(const Policy&) = delete;

  // Never fails: what could not be found out is kUnknown. Applies the guards for names that are
  // not listed exactly (policy/name_guard.h) before the ask is bothered. A remembered answer is
  // used while it is fresh; a stale yes while the endpoint is out of order. `stored`: the name's
  // verdict as the store has it, if it was read. Its row goes when the endpoint says no.
  Task<Decision> decide(ServerName name, AskReason reason = AskReason::kIssue,
                        std::optional<VerdictRecord> stored = {});

  // The same, but asks the endpoint whatever is remembered (and remembers what it says). While it
  // is out of order a remembered yes counts, a remembered no does not: that is kUnknown.
  Task<Decision> decide_afresh(ServerName name, AskReason reason,
                               std::optional<VerdictRecord> stored = {});

  // What can be said at once and without I/O: listed (kAllow), refused by a guard, denied for lack
  // of an endpoint, or remembered and fresh; kUnknown when the endpoint would have to be asked.
  Decision decide_without_asking(const ServerName& name);

  // The remembered yes, fresh or not; for people. Null: none in memory. Valid until the next call.
  const VerdictRecord* remembered(const ServerName& name) { return verdicts_.allowed(name).get(); }
  // The name has, or is about to get, a certificate: its yes is written to the store behind, now
  // and when it changes. Until then it is in memory only: strangers' names cost no row.
  void keep(const ServerName& name);
  // What the endpoint has refused may be allowed by now: it is asked again. A yes from before the
  // no stays gone.
  void forget_denial(const ServerName& name) { verdicts_.forget_denial(name); }
  void forget_denials() { verdicts_.forget_denials(); }
  // Forgets what the endpoint has said about the name, in memory; the caller deletes the row.
  void forget(const ServerName& name);

  void replace_allowlist(std::shared_ptr<const Allowlist> allowlist);
  const Allowlist* allowlist() const { return allowlist_.get(); }
  const AskEndpoint* ask() const { return ask_.get(); }
  const Counts& counts() const { return counts_; }

 private:
  // Until nobody can answer but the endpoint.
  Decision without_endpoint(const ServerName& name) const;
  std::optional<Decision> from_memory(const ServerName& name);
  Task<Decision> question(ServerName name, AskReason reason, bool has_row);
  void adopt(const ServerName& name, VerdictRecord stored);
  Decision learn(const ServerName& name, AskOutcome outcome, bool has_row);
  void learn_yes(const ServerName& name, Decision& decision, Millis ttl);
  void learn_no(const ServerName& name, Decision& decision, Millis ttl, int status, bool has_row);
  void make_do(const ServerName& name, Decision& decision);
  Decision counted(Decision decision);

  Options options_;
  std::shared_ptr<const Allowlist> allowlist_;
  std::unique_ptr<AskEndpoint> ask_;
  Clock& clock_;
  Counts counts_;
  VerdictCache verdicts_;
  VerdictWriter writer_;
};

}  // namespace latchkey
