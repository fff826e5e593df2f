#include "ondemand/refusals.h"

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kWaits[] = {1min, 10min, 100min, 24h};
constexpr Millis kTroubleWait = 15s;

}  // namespace

const Error* Refusals::find(const ServerName& name, TimePoint now) const {
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second.until <= now) return nullptr;
  return &found->second.why;
}

void Refusals::remember_denial(const ServerName& name, Error why, TimePoint until) {
  // A name that had failed keeps its count: it may be allowed again.
  Entry& e = entry(name, failures(name) > 0 ? failures_ : denials_);
  e.why = std::move(why);
  e.until = until;
}

void Refusals::remember_failure(const ServerName& name, Error why, TimePoint now) {
  Entry& e = entry(name, failures_);
  const auto step = std::min<size_t>(static_cast<size_t>(e.failures), std::size(kWaits) - 1);
  e.until = now + std::max(kWaits[step], why.retry_after);
  e.why = std::move(why);
  ++e.failures;
}

void Refusals::remember_trouble(const ServerName& name, Error why, TimePoint now) {
  Entry& e = entry(name, failures_);
  e.until = now + std::max(kTroubleWait, why.retry_after);
  e.why = std::move(why);
}

int Refusals::failures(const ServerName& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? 0 : found->second.failures;
}

void Refusals::forget(const ServerName& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  found->second.ages->erase(found->second.age);
  entries_.erase(found);
}

void Refusals::forget_denials() {
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& e = at->second;
    if (e.why.code != ErrorCode::kDenied) {
      ++at;
    } else if (e.failures > 0) {  // the count outlives the denial
      e.until = TimePoint::min();
      ++at;
    } else {
      e.ages->erase(e.age);
      at = entries_.erase(at);
    }
  }
}

Refusals::Entry& Refusals::entry(const ServerName& name, Ages& ages) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) {
    Entry& e = found->second;
    ages.splice(ages.end(), *e.ages, e.age);
    e.ages = &ages;
    return e;
  }
  if (ages.size() >= capacity_ && !ages.empty()) forget(ServerName(ages.front()));
  const auto age = ages.insert(ages.end(), name);
  Error none{ErrorCode::kInvalid, ""};
  return entries_.emplace(name, Entry{std::move(none), TimePoint(), 0, &ages, age}).first->second;
}

}  // namespace latchkey
