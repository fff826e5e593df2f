#include "ondemand/refusals.h"

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kWaits[] = {1min, 10min, 100min, 24h};

}  // namespace

const Error* Refusals::find(const ServerName& name, TimePoint now) const {
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second.until <= now) return nullptr;
  return &found->second.why;
}

void Refusals::remember_denial(const ServerName& name, Error why, TimePoint until) {
  Entry& e = entry(name);
  e.why = std::move(why);
  e.until = until;
  e.failures = 0;
}

void Refusals::remember_failure(const ServerName& name, Error why, TimePoint now) {
  Entry& e = entry(name);
  const auto step = std::min<size_t>(static_cast<size_t>(e.failures), std::size(kWaits) - 1);
  e.why = std::move(why);
  e.until = now + kWaits[step];
  ++e.failures;
}

void Refusals::forget(const ServerName& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  ages_.erase(found->second.age);
  entries_.erase(found);
}

void Refusals::forget_denials() {
  std::erase_if(entries_, [this](const auto& item) {
    if (item.second.failures > 0) return false;
    ages_.erase(item.second.age);
    return true;
  });
}

Refusals::Entry& Refusals::entry(const ServerName& name) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) {
    ages_.splice(ages_.end(), ages_, found->second.age);
    return found->second;
  }
  if (entries_.size() >= capacity_ && !ages_.empty()) forget(ServerName(ages_.front()));
  const auto age = ages_.insert(ages_.end(), name);
  Error none{ErrorCode::kInvalid, ""};
  return entries_.emplace(name, Entry{std::move(none), TimePoint(), 0, age}).first->second;
}

}  // namespace latchkey
