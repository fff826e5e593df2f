#include "ondemand/renewal_plan.h"

#include <algorithm>
#include <cstdint>

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr seconds kShortLife = hours(10 * 24);  // below it half of the life is left at a renewal
constexpr double kShortRemaining = 0.5;
constexpr int64_t kLifePerJitter = 50;  // 2 % of the life
constexpr int64_t kLifePerMargin = 10;  // a window's instant leaves that share of the life
constexpr seconds kShortestRetry{10}, kLongestRetry = hours(24);
// No plan is made further ahead than a wait (a day, its jitter, a CA's Retry-After of a day).
constexpr seconds kLongestWait = hours(30);

seconds life_of(WallTime not_before, WallTime end) {
  return std::max(seconds(1), end - not_before);
}

// Uniform in [from, to].
WallTime random_between(WallTime from, WallTime to, std::minstd_rand& random) {
  const int64_t range = std::max<int64_t>(0, (to - from).count());
  return from + seconds(std::uniform_int_distribution<int64_t>(0, range)(random));
}

}  // namespace

WallTime renewal_by_life(const RenewalRules& rules, WallTime not_before, WallTime end,
                         std::minstd_rand& random) {
  const seconds life = life_of(not_before, end);
  const double remaining =
      life < kShortLife ? std::max(rules.remaining, kShortRemaining) : rules.remaining;
  const seconds left(static_cast<int64_t>(static_cast<double>(life.count()) * remaining));
  const seconds jitter = life / kLifePerJitter;
  const WallTime at = random_between(end - left - jitter, end - left + jitter, random);
  return std::clamp(at, not_before, end - jitter);
}

RenewalPlan first_plan(const RenewalRules& rules, WallTime not_before, WallTime end, WallTime now,
                       std::minstd_rand& random) {
  RenewalPlan plan;
  // One that was dated back by much of its life is not due as soon as it is there.
  const seconds left = std::max(seconds(0), end - now);
  const WallTime least = random_between(now + left / 3, now + left * 2 / 5, random);
  plan.renew_at =
      std::max({renewal_by_life(rules, not_before, end, random), least, now + kShortestRetry});
  plan.look_at = now;
  plan.poll_at = now;
  return plan;
}

void adopt_window(RenewalPlan& plan, const RenewalWindow& window, WallTime not_before, WallTime end,
                  const RenewalRules& rules, WallTime now, std::minstd_rand& random) {
  const bool chosen = plan.renew_at != RenewalPlan::kNever;
  if (window.end <= window.start) {
    if (!chosen) plan.renew_at = renewal_by_life(rules, not_before, end, random);
    return;
  }
  if (chosen && plan.window == window) return;
  plan.window = window;
  const WallTime latest = std::min(window.end, end - life_of(not_before, end) / kLifePerMargin);
  if (window.end <= now) {
    plan.renew_at = now;
  } else if (window.start >= latest) {
    plan.renew_at = renewal_by_life(rules, not_before, end, random);
  } else {
    plan.renew_at = random_between(window.start, latest, random);
  }
}

bool correct_times(RenewalPlan& plan, WallTime not_before, WallTime end, const RenewalRules& rules,
                   WallTime now, std::minstd_rand& random) {
  const RenewalPlan before = plan;
  const auto too_far = [now](WallTime at) {
    return at != RenewalPlan::kNever && at - now > kLongestWait;
  };
  if (plan.denied_since && *plan.denied_since > now) plan.denied_since.reset();
  if (!is_given_up(plan) && plan.renew_at > end) {
    plan.renew_at = renewal_by_life(rules, not_before, end, random);
  }
  if (too_far(plan.poll_at)) plan.poll_at = now;
  const bool asleep = plan.look_at == RenewalPlan::kNever;
  const bool should_wake = plan != before || (!is_given_up(plan) && plan.renew_at > now);
  const bool too_late =
      too_far(plan.look_at) && plan.look_at > std::min(plan.renew_at, plan.poll_at);
  if (asleep ? should_wake : too_late) plan.look_at = now;
  return plan != before;
}

bool is_given_up(const RenewalPlan& plan) {
  return plan.renew_at == RenewalPlan::kNever && plan.denied_since.has_value();
}

WallTime denial_counts_at(WallTime denied_since, WallTime end) {
  return denied_since + std::clamp((end - denied_since) / 4, kShortestRetry, kLongestRetry);
}

bool is_urgent(WallTime not_before, WallTime end, WallTime now) {
  return now > urgent_from(not_before, end);
}

WallTime urgent_from(WallTime not_before, WallTime end) {
  return end - life_of(not_before, end) / 4;
}

Millis retry_cap(WallTime not_before, WallTime end) {
  return std::clamp(life_of(not_before, end) / 10, kShortestRetry, kLongestRetry);
}

}  // namespace latchkey
