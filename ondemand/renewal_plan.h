#pragma once
#include <random>

#include "base/clock.h"
#include "cache/certificate.h"
#include "cache/renewal.h"

namespace latchkey {

// When certificates are renewed. Pure functions of times; the caller brings the clock and the dice.
struct RenewalRules {
  enum class Policy {
    kSeen,  // names that were visited within forget_after
    kAlways,
    kOnUse,  // only once it is due and a visitor comes
  };
  double remaining = 1.0 / 3;  // of its life, where the CA says nothing; half under ten days
  Policy policy = Policy::kSeen;
  Millis forget_after{std::chrono::hours(60 * 24)};
};

// The first plan for a new certificate: renewed when `remaining` of its life is left, a little
// earlier or later (2 % of the life), but not in the next third of what is left, and its CA asked
// at once for a window of its own.
RenewalPlan first_plan(const RenewalRules& rules, WallTime not_before, WallTime end, WallTime now,
                       std::minstd_rand& random);
// By the certificate's life alone; for a CA without, or with a useless, window.
WallTime renewal_by_life(const RenewalRules& rules, WallTime not_before, WallTime end,
                         std::minstd_rand& random);
// The CA's window has been read. Chooses an instant in it, once: the plan's stays while the window
// does. A window that has passed is now. One that is empty or inverted changes nothing. Of the last
// tenth of the life nothing is chosen, so that there is time for another try: a window that lies
// there, or behind `end`, counts as none (by life).
void adopt_window(RenewalPlan& plan, const RenewalWindow& window, WallTime not_before, WallTime end,
                  const RenewalRules& rules, WallTime now, std::minstd_rand& random);

// Puts right what only a clock that was wrong can have written: instants further ahead than any
// plan reaches, a certificate that is left alone before it is due, a denial in the future. True: it
// was wrong, and is to be looked at now.
bool correct_times(RenewalPlan& plan, WallTime not_before, WallTime end, const RenewalRules& rules,
                   WallTime now, std::minstd_rand& random);

// The policy's no was repeated: renew_at is kNever until there is a yes.
bool is_given_up(const RenewalPlan& plan);
// From when on a no that is repeated counts: a day after the first one, or after a quarter of what
// was left then.
WallTime denial_counts_at(WallTime denied_since, WallTime end);

// Is less than a quarter of its life left?
bool is_urgent(WallTime not_before, WallTime end, WallTime now);
WallTime urgent_from(WallTime not_before, WallTime end);
// The longest wait between two tries of a renewal: a tenth of the life, a day at most, ten seconds
// at least.
Millis retry_cap(WallTime not_before, WallTime end);

}  // namespace latchkey
