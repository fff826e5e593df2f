#include "ondemand/staple_times.h"

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kSoonest = 5s;  // of a refresh; whatever the responder's staples live
constexpr Millis kLatest = std::chrono::hours(7 * 24);
constexpr Millis kFirstWait = 1min, kLongestWait = 1h, kShortestWait = 10s;

}  // namespace

Millis about(Millis time, std::minstd_rand& random) {
  const double part = std::uniform_real_distribution<double>(0.9, 1.1)(random);
  return Millis(static_cast<int64_t>(static_cast<double>(time.count()) * part));
}

WallTime refresh_at(const Staple& staple, WallTime now, std::minstd_rand& random) {
  const Millis half = about((staple.next_update - staple.this_update) / 2, random);
  Millis wait = staple.this_update - now + half;
  if (wait < kSoonest) wait = about((staple.next_update - now) / 2, random);
  const Millis bounded = std::clamp(wait, kSoonest, about(kLatest, random));
  return now + std::chrono::ceil<std::chrono::seconds>(bounded);
}

Millis retry_wait(int tries, const StaplePtr& in_use, WallTime now, std::minstd_rand& random) {
  Millis wait = std::min<Millis>(kLongestWait, kFirstWait * (1 << std::clamp(tries - 1, 0, 6)));
  if (in_use != nullptr && in_use->good_at(now)) {
    const Millis quarter = (in_use->next_update - now) / 4;
    wait = std::min(wait, std::max(quarter, kShortestWait));
  }
  return about(wait, random);
}

}  // namespace latchkey
