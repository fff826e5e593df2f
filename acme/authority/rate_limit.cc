#include "acme/authority/rate_limit.h"

#include <algorithm>

namespace latchkey::acme {

std::chrono::seconds RateLimit::wait(std::string_view key, TimePoint now) {
  const auto* const cell = cells_.entry(key);
  if (cell == nullptr || cell->beside + step_ <= now + per_) return std::chrono::seconds(0);
  const Millis left = cell->beside + step_ - now - per_;
  return std::max(std::chrono::ceil<std::chrono::seconds>(left), std::chrono::seconds(1));
}

std::chrono::seconds RateLimit::take(std::string_view key, TimePoint now, int64_t weight) {
  const std::chrono::seconds left = wait(key, now);
  if (left > std::chrono::seconds(0)) return left;
  if (auto* const cell = cells_.entry(key); cell != nullptr) {
    cell->beside = std::max(cell->beside, now) + step_ * weight;
  } else {
    static_cast<void>(cells_.put(std::string(key), nullptr, 1, now + step_ * weight));
  }
  return left;
}

}  // namespace latchkey::acme
