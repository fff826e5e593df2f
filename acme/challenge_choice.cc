#include "acme/challenge_choice.h"

#include <algorithm>
#include <utility>

namespace latchkey::acme {
namespace {

constexpr size_t kMaxRecent = 10'000;
constexpr double kMemory = 64;  // tries

bool can_prove(ChallengeType type, const ServerName& name) {
  const bool dns = type == ChallengeType::kDns01;
  return name.is_wildcard() ? dns : !(dns && name.is_ip());
}

}  // namespace

ChallengeChoice::ChallengeChoice(std::vector<ChallengeType> configured)
    : configured_(std::move(configured)) {}

std::vector<ChallengeType> ChallengeChoice::order_for(const ServerName& name) const {
  std::vector<ChallengeType> types = configured_;
  std::erase_if(types, [&](ChallengeType type) { return !can_prove(type, name); });
  std::stable_sort(types.begin(), types.end(),
                   [&](ChallengeType a, ChallengeType b) { return score(a) > score(b); });
  if (const ChallengeType* type = remembered(name)) {
    std::stable_partition(types.begin(), types.end(), [&](ChallengeType t) { return t == *type; });
  }
  return types;
}

void ChallengeChoice::worked(const ServerName& name, ChallengeType type) {
  count(type, true);
  older_.erase(name);
  if (recent_.size() >= kMaxRecent && !recent_.contains(name)) {
    older_ = std::exchange(recent_, {});
  }
  recent_.insert_or_assign(name, type);
}

void ChallengeChoice::failed(const ServerName& name, ChallengeType type) {
  count(type, false);
  if (const ChallengeType* last = remembered(name); last != nullptr && *last == type) {
    recent_.erase(name);
    older_.erase(name);
  }
}

const ChallengeType* ChallengeChoice::remembered(const ServerName& name) const {
  for (const Memory* memory : {&recent_, &older_}) {
    if (const auto found = memory->find(name); found != memory->end()) return &found->second;
  }
  return nullptr;
}

void ChallengeChoice::count(ChallengeType type, bool good) {
  Tally& tally = tallies_[static_cast<size_t>(type)];
  if (tally.tried >= kMemory) {
    tally.good /= 2;
    tally.tried /= 2;
  }
  tally.tried += 1;
  if (good) tally.good += 1;
}

// Optimistic for what was never tried, so that successes of one type alone do not reorder.
double ChallengeChoice::score(ChallengeType type) const {
  const Tally& tally = tallies_[static_cast<size_t>(type)];
  return (tally.good + 4) / (tally.tried + 4);
}

}  // namespace latchkey::acme
