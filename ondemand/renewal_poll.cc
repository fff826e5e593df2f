// When the CA wants a certificate renewed (RFC 9773).
#include <algorithm>

#include "base/within.h"
#include "ondemand/renewals.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using std::chrono::ceil;
using std::chrono::seconds;

constexpr Millis kPollWait = std::chrono::minutes(10);  // for a turn to poll
constexpr Millis kPollLimit = 60s;                      // of one poll
constexpr Millis kSoonestPoll = 60s, kLatestPoll = std::chrono::hours(24);
constexpr Millis kFirstPollRetry = std::chrono::hours(1);
constexpr uint16_t kMostFailures = 5;                      // 1 h << 5 is over a day
constexpr Millis kUnknownIssuer = std::chrono::hours(24);  // it may come back

}  // namespace

// Never fails. Once an interval, also where the plan could not be written.
Task<> Renewals::poll(CertificatePtr certificate, CertificateInfo info, RenewalPlan& plan) {
  if (plan.poll_at > parts_.clock.wall_now()) co_return Unit{};
  Advisor* const advisor = advisor_of(info.issuer);
  if (advisor == nullptr) {
    plan.poll_at = in_about(kUnknownIssuer);
    co_return Unit{};
  }
  const auto which = static_cast<uint16_t>(info.id);
  if (const auto last = polled_.look(info.name, parts_.clock.now()); last && last->code == which) {
    plan.poll_at = parts_.clock.wall_now() + ceil<seconds>(last->until - parts_.clock.now());
    co_return Unit{};
  }
  Task<Turnstile::Pass> entering = polling_.enter(kPollWait);
  const Result<Turnstile::Pass> pass = co_await std::move(entering).result();
  if (!pass || !advisor->breaker.admit(parts_.clock.now())) {
    // Nobody was asked: no failure of this certificate's.
    plan.poll_at = in_about(kFirstPollRetry);
    co_return Unit{};
  }
  counts_.polls.add();
  Task<RenewalAdvice> asking = ask_for_window(advisor->source, std::move(certificate));
  Result<RenewalAdvice> advice = co_await std::move(asking).result();
  const bool answered = advice || advice.error().code == ErrorCode::kNotFound;
  answered ? advisor->breaker.succeeded() : advisor->breaker.failed(parts_.clock.now());
  if (answered) poll_failures_.erase(info.name);
  if (advice) {
    adopt(info, plan, *advice);
  } else if (answered) {
    plan.poll_at = RenewalPlan::kNever;
  } else {
    poll_failed(info, plan, advice.error());
  }
  if (plan.poll_at != RenewalPlan::kNever) {
    polled_.set(info.name, which, parts_.clock.now() + (plan.poll_at - parts_.clock.wall_now()));
  }
  co_return Unit{};
}

Task<RenewalAdvice> Renewals::ask_for_window(CertificateSource* source,
                                             CertificatePtr certificate) {
  Task<RenewalAdvice> asking = source->renewal_advice(std::move(certificate));
  co_return co_await within(parts_.clock, kPollLimit, std::move(asking));
}

void Renewals::adopt(const CertificateInfo& info, RenewalPlan& plan, const RenewalAdvice& advice) {
  const WallTime now = parts_.clock.wall_now();
  const WallTime before = plan.renew_at;
  adopt_window(plan, advice.window, info.not_before, info.end, parts_.issuances.rules(), now,
               random_);
  plan.poll_at = now + ceil<seconds>(std::clamp(advice.poll_after, kSoonestPoll, kLatestPoll));
  if (plan.renew_at >= before) return;
  const Log::Fields fields{{"name", info.name.text()},
                           {"issuer", info.issuer},
                           {"serial", info.serial},
                           {"seconds_sooner", (before - plan.renew_at).count()},
                           {"explanation", advice.explanation_url}};
  if (advice.explanation_url.empty()) {
    parts_.log.debug("renewal_sooner", "the CA's window is before the planned time", fields);
  } else {
    parts_.log.warning("renewal_sooner", "the CA wants the certificate renewed before its time",
                       fields);
  }
}

// What was planned stays.
void Renewals::poll_failed(const CertificateInfo& info, RenewalPlan& plan, const Error& error) {
  counts_.poll_failures.add();
  const TimePoint now = parts_.clock.now();
  const auto failures =
      std::min(poll_failures_.find(info.name, now).value_or(uint16_t{0}), kMostFailures);
  const Millis wait =
      std::max(error.retry_after, std::min(kFirstPollRetry * (1 << failures), kLatestPoll));
  plan.poll_at = in_about(std::min(wait, kLatestPoll) * 10 / 9);  // no sooner than `wait`
  poll_failures_.set(info.name, static_cast<uint16_t>(failures + 1), now + 2 * kLatestPoll);
  parts_.log.warning("renewal_info_failed", "renewed as planned before: " + error.message,
                     {{"name", info.name.text()}, {"issuer", info.issuer}});
}

Renewals::Advisor* Renewals::advisor_of(const std::string& issuer) {
  const auto found = std::find_if(advisors_.begin(), advisors_.end(), [&](const Advisor& advisor) {
    return advisor.source->name() == issuer;
  });
  return found == advisors_.end() ? nullptr : &*found;
}

}  // namespace latchkey
