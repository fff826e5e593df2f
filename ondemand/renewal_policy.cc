// Whether a name is still to have a certificate.
#include <algorithm>

#include "ondemand/renewals.h"

namespace latchkey {
namespace {

constexpr Millis kAskWait = std::chrono::minutes(10);  // for a turn to ask the endpoint

}  // namespace

bool Renewals::is_visited(const CertificateInfo& info, RenewalPlan& plan) {
  const RenewalRules& rules = parts_.issuances.rules();
  if (rules.policy == RenewalRules::Policy::kAlways) return true;
  if (parts_.is_managed && parts_.is_managed(info.name)) return true;
  if (rules.policy == RenewalRules::Policy::kOnUse) {
    // Given up: who asks for it is a visitor.
    if (is_given_up(plan) || info.last_used >= plan.renew_at) return true;
    plan.look_at = RenewalPlan::kNever;
    return false;
  }
  // Time that the clock has jumped over brought no visits that could have been noted.
  const Millis unseen = parts_.clock.wall_now() - info.last_used - std::max(ahead_, Millis(0));
  if (unseen <= rules.forget_after) return true;
  plan.look_at = RenewalPlan::kNever;
  counts_.unseen.add();
  if (round_) ++round_->unseen;
  tell(event_kind::kNotRenewed, info,
       "not renewed: nobody has visited the name for " +
           std::to_string(std::chrono::floor<std::chrono::hours>(unseen).count() / 24) +
           " days (renewal.forget_after); the next visit obtains it again");
  return false;
}

// More questions at once would time out in the endpoint's own queue, and doubt renews.
Task<Decision> Renewals::ask_policy(ServerName name, std::optional<VerdictRecord> verdict) {
  if (parts_.policy.decide_without_asking(name).source == VerdictSource::kAllowlistExact) {
    co_return parts_.policy.decide_without_asking(name);
  }
  Task<Turnstile::Pass> entering = asking_.enter(kAskWait);
  const Result<Turnstile::Pass> pass = co_await std::move(entering).result();
  if (!pass) co_return Decision{};  // kUnknown
  Task<Decision> deciding =
      parts_.policy.decide_afresh(std::move(name), AskReason::kRenew, std::move(verdict));
  co_return co_await std::move(deciding).result();
}

bool Renewals::is_wanted(const CertificateInfo& info, RenewalPlan& plan, const Decision& decision) {
  switch (decision.verdict) {
    case Verdict::kAllow:
      if (is_given_up(plan)) plan.renew_at = parts_.clock.wall_now();
      plan.denied_since.reset();
      return true;
    case Verdict::kUnknown:
      // It was wanted before; an endpoint that is down must not take names down. But where its last
      // word was no, that counts until it says yes.
      if (!plan.denied_since) return true;
      plan.look_at = in_about(retry_cap(info.not_before, info.end));
      return false;
    case Verdict::kDeny:
      denied(info, plan, decision.reason);
      return false;
  }
  return true;
}

void Renewals::denied(const CertificateInfo& info, RenewalPlan& plan, const std::string& reason) {
  const WallTime now = parts_.clock.wall_now();
  const bool known = is_given_up(plan);
  if (!plan.denied_since) {
    plan.denied_since = now;
    parts_.log.warning("denied_at_renewal_once",
                       "it is not renewed if the policy says so again later: " + reason,
                       {{"name", info.name.text()}});
  }
  plan.look_at = denial_counts_at(*plan.denied_since, info.end);
  if (now < plan.look_at) return;
  plan.renew_at = RenewalPlan::kNever;
  plan.look_at = RenewalPlan::kNever;
  if (known) return;
  counts_.denied.add();
  if (round_) ++round_->denied;
  tell(event_kind::kDeniedAtRenewal, info, "not renewed: the policy denies the name: " + reason);
}

}  // namespace latchkey
