#pragma once
#include <random>

#include "base/clock.h"
#include "cache/staple.h"

namespace latchkey {

// When responders are asked. Pure functions of times; the caller brings the clock and the dice.

// The time +- 10 %.
Millis about(Millis time, std::minstd_rand& random);
// Half of the staple's life, +- 10 %; of what is left where that has passed; a week at most, so
// that a revocation does not go unnoticed.
WallTime refresh_at(const Staple& staple, WallTime now, std::minstd_rand& random);
// After the `tries`-th failure in a row (1: the first): a minute, doubling to an hour, +- 10 %.
// Sooner while `in_use` (may be null) is about to end: a quarter of what is left of it, ten seconds
// at least.
Millis retry_wait(int tries, const StaplePtr& in_use, WallTime now, std::minstd_rand& random);

}  // namespace latchkey
