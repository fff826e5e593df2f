#include "policy/policy.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "policy/name_guard.h"

namespace latchkey {
namespace {

using std::chrono::floor;
using std::chrono::seconds;

constexpr Millis kLongestDenial = std::chrono::hours(1);  // that the endpoint may ask for
constexpr seconds kSoonest{1};     // who served by a yes asks again no sooner, whatever its ttl
constexpr seconds kStaleRetry{2};  // a stale yes is good for so long, at least

Decision decision_of(Verdict verdict, VerdictSource source, std::string reason) {
  Decision decision;
  decision.verdict = verdict;
  decision.source = source;
  decision.reason = std::move(reason);
  return decision;
}

// Shares the record's memory. Null for a grant that says nothing.
GrantPtr grant_of(const VerdictCache::RecordPtr& record) {
  if (record->grant == Grant{}) return nullptr;
  return GrantPtr(record, &record->grant);
}

}  // namespace

Policy::Policy(Options options, std::shared_ptr<const Allowlist> allowlist,
               std::unique_ptr<AskEndpoint> ask, Store& store, Clock& clock, Log& log)
    : options_(options),
      allowlist_(std::move(allowlist)),
      ask_(std::move(ask)),
      clock_(clock),
      verdicts_(options.verdicts),
      writer_(options.max_unwritten, store, log,
              [this](const ServerName& name) { verdicts_.not_stored(name); }) {}

Task<Decision> Policy::decide(ServerName name, AskReason reason,
                              std::optional<VerdictRecord> stored) {
  Decision decision = decide_without_asking(name);
  if (decision.verdict == Verdict::kUnknown) {
    if (stored) {
      adopt(name, *stored);
      decision = decide_without_asking(name);
    }
  } else if (stored && decision.verdict == Verdict::kDeny && decision.from_ask()) {
    writer_.remove(name);
  }
  if (decision.verdict == Verdict::kUnknown) {
    Task<Decision> asking = question(name, reason, stored.has_value());
    decision = co_await std::move(asking);
  }
  co_return counted(std::move(decision));
}

Task<Decision> Policy::decide_afresh(ServerName name, AskReason reason,
                                     std::optional<VerdictRecord> stored) {
  Decision decision = without_endpoint(name);
  if (decision.verdict == Verdict::kUnknown) {
    if (stored) adopt(name, *stored);
    Task<Decision> asking = question(name, reason, stored.has_value());
    decision = co_await std::move(asking);
  }
  co_return counted(std::move(decision));
}

Decision Policy::decide_without_asking(const ServerName& name) {
  Decision decision = without_endpoint(name);
  if (decision.verdict != Verdict::kUnknown) return decision;
  if (auto remembered = from_memory(name)) return *std::move(remembered);
  return decision;
}

Decision Policy::without_endpoint(const ServerName& name) const {
  const auto match = allowlist_ == nullptr ? Allowlist::Match::kNone : allowlist_->find(name);
  if (match == Allowlist::Match::kExact) {
    return decision_of(Verdict::kAllow, VerdictSource::kAllowlistExact, "allowlist");
  }
  const Result<> guard = guard_name(name);
  if (!guard) {
    return decision_of(Verdict::kDeny, VerdictSource::kGuard, guard.error().message);
  }
  if (match == Allowlist::Match::kSuffix) {
    return decision_of(Verdict::kAllow, VerdictSource::kAllowlistSuffix, "allowlist, by a suffix");
  }
  if (ask_ == nullptr) {
    return decision_of(Verdict::kDeny, VerdictSource::kNoEndpoint,
                       "not in the allowlist, and no ask endpoint is set");
  }
  return decision_of(Verdict::kUnknown, VerdictSource::kAsk, "the ask endpoint has not been asked");
}

std::optional<Decision> Policy::from_memory(const ServerName& name) {
  const WallTime now = clock_.wall_now();
  if (const auto record = verdicts_.allowed(name); record != nullptr && now < record->until) {
    Decision decision =
        decision_of(Verdict::kAllow, VerdictSource::kRemembered, "the ask endpoint has allowed it");
    decision.grant = grant_of(record);
    decision.fresh_until = record->until;
    return decision;
  }
  if (const auto denial = verdicts_.denied(name, clock_.now())) {
    Decision decision = decision_of(Verdict::kDeny, VerdictSource::kRemembered,
                                    "the ask endpoint answered " + std::to_string(denial->code));
    decision.fresh_until = now + std::chrono::ceil<seconds>(denial->until - clock_.now());
    return decision;
  }
  return std::nullopt;
}

Task<Decision> Policy::question(ServerName name, AskReason reason, bool has_row) {
  Task<AskOutcome> asking = ask_->ask(name, reason);
  AskOutcome outcome = co_await std::move(asking);
  co_return learn(name, std::move(outcome), has_row);
}

// Memory knows better than the store, which is written behind.
void Policy::adopt(const ServerName& name, VerdictRecord stored) {
  if (writer_.removing(name) || verdicts_.denied(name, clock_.now())) return;
  const WallTime now = clock_.wall_now();
  if (const auto known = verdicts_.allowed(name); known && known->asked >= stored.asked) {
    keep(name);  // it has a row
    return;
  }
  if (stored.asked > now) {  // written while the system's clock was wrong
    const auto ahead = stored.asked - now;
    for (WallTime* const at : {&stored.asked, &stored.until, &stored.stale_until}) *at -= ahead;
  }
  if (now < stored.stale_until) verdicts_.learn(name, std::move(stored));
}

Decision Policy::learn(const ServerName& name, AskOutcome outcome, bool has_row) {
  Decision decision = std::move(outcome.decision);
  switch (decision.verdict) {
    case Verdict::kAllow:
      learn_yes(name, decision, outcome.ttl.value_or(options_.positive_ttl));
      break;
    case Verdict::kDeny:
      learn_no(name, decision,
               outcome.ttl ? std::min(*outcome.ttl, kLongestDenial) : options_.negative_ttl,
               outcome.status, has_row);
      break;
    case Verdict::kUnknown:
      make_do(name, decision);
      break;
  }
  return decision;
}

void Policy::learn_yes(const ServerName& name, Decision& decision, Millis ttl) {
  VerdictRecord record;
  record.asked = clock_.wall_now();
  record.until = record.asked + floor<seconds>(ttl);
  record.stale_until = record.until + floor<seconds>(options_.stale_ttl);
  if (decision.grant != nullptr) record.grant = *decision.grant;
  decision.fresh_until = std::max(record.until, record.asked + kSoonest);
  if (record.stale_until <= record.asked) {  // not to be remembered at all
    if (verdicts_.forget(name)) writer_.remove(name);
    return;
  }
  VerdictRecord row = record;
  if (verdicts_.allow(name, std::move(record))) writer_.put(name, std::move(row));
}

void Policy::learn_no(const ServerName& name, Decision& decision, Millis ttl, int status,
                      bool has_row) {
  decision.fresh_until = clock_.wall_now() + floor<seconds>(ttl);
  // Only a name that was allowed once costs a write.
  const bool was_allowed = verdicts_.forget(name);
  if (was_allowed || has_row) writer_.remove(name);
  if (ttl > Millis(0)) {
    verdicts_.deny(name, static_cast<uint16_t>(status), clock_.now() + ttl);
  }
}

// The endpoint has said neither yes nor no: its last yes counts on for a while.
void Policy::make_do(const ServerName& name, Decision& decision) {
  const WallTime now = clock_.wall_now();
  const WallTime again = now + std::chrono::ceil<seconds>(decision.retry_after);
  const auto record = verdicts_.allowed(name);
  if (record == nullptr || now >= record->stale_until) {
    decision.fresh_until = again;
    return;
  }
  decision.verdict = Verdict::kAllow;
  decision.reason = "the ask endpoint allowed it " + show_duration(now - record->asked) +
                    " ago, and gives no answer now: " + decision.reason;
  decision.grant = grant_of(record);
  decision.retry_after = Millis(0);
  if (now < record->until) {
    decision.source = VerdictSource::kRemembered;
    decision.fresh_until = record->until;
  } else {
    decision.source = VerdictSource::kStale;
    decision.fresh_until = std::max(again, now + kStaleRetry);
    counts_.stale.add();
  }
}

Decision Policy::counted(Decision decision) {
  switch (decision.verdict) {
    case Verdict::kAllow:
      counts_.allowed.add();
      break;
    case Verdict::kDeny:
      counts_.denied.add();
      break;
    case Verdict::kUnknown:
      counts_.unknown.add();
      break;
  }
  return decision;
}

void Policy::keep(const ServerName& name) {
  if (const auto record = verdicts_.keep(name)) writer_.put(name, *record);
}

void Policy::forget(const ServerName& name) {
  verdicts_.forget(name);
  writer_.drop(name);
}

void Policy::replace_allowlist(std::shared_ptr<const Allowlist> allowlist) {
  allowlist_ = std::move(allowlist);
}

}  // namespace latchkey
