#include "edge/unusual_traffic.h"

#include <algorithm>

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kTimes = 5;
constexpr int64_t kWarmUp = 60;  // minutes before the recent ones
constexpr Millis kTellEvery = 1h;

}  // namespace

// Minutes that nobody counted in had none.
void UnusualTraffic::move_to(int64_t minute) {
  if (minute - minute_ >= kMinutes) {
    by_minute_.fill(0);
    recent_ = day_ = 0;
    minute_ = minute;
  }
  while (minute_ < minute) {
    ++minute_;
    uint64_t& fresh = slot(minute_);  // until now the oldest of the day
    day_ -= fresh;
    fresh = 0;
    // None before the first ones: their slots are empty.
    const uint64_t aged = slot(minute_ - kRecent + kMinutes);
    recent_ -= aged;
    day_ += aged;
  }
}

std::optional<UnusualTraffic::Finding> UnusualTraffic::count(uint64_t total, TimePoint now) {
  const int64_t minute = std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
  if (!total_) {
    total_ = total;
    first_ = minute_ = minute;
    return std::nullopt;
  }
  move_to(minute);
  const uint64_t fresh = total >= *total_ ? total - *total_ : total;
  total_ = total;
  slot(minute_) += fresh;
  recent_ += fresh;

  const int64_t seen = std::min(minute_ - first_ - kRecent, kDay);
  if (seen < kWarmUp) return std::nullopt;
  // recent > 5 x the mean of ten minutes, without losing what a division would.
  const bool many = recent_ >= kFloor && recent_ * static_cast<uint64_t>(seen) >
                                             kTimes * day_ * static_cast<uint64_t>(kRecent);
  if (!many || unusual_) {
    unusual_ = many;
    return std::nullopt;
  }
  if (told_ && now - *told_ < kTellEvery) return std::nullopt;
  unusual_ = true;
  told_ = now;
  return Finding{recent_, day_ * static_cast<uint64_t>(kRecent) / static_cast<uint64_t>(seen)};
}

}  // namespace latchkey::edge
