#include "policy/verdict_cache.h"

#include <string>
#include <utility>

namespace latchkey {
namespace {

// What an entry costs beside its texts: nodes of list and index, control block, the record.
constexpr size_t kOverhead = 200 + sizeof(VerdictRecord);

size_t heap(const std::string& text) {
  return text.capacity() < sizeof(std::string) / 2 ? 0 : text.capacity() + 16;
}

size_t cost_of(const ServerName& name, const Grant& grant) {
  return kOverhead + heap(name.text()) + heap(grant.upstream) + heap(grant.tenant) +
         heap(grant.issuer) + heap(grant.profile) + heap(grant.key_type);
}

WallTime half_life(const VerdictRecord& record) {
  return record.asked + (record.stale_until - record.asked) / 2;
}

}  // namespace

VerdictCache::VerdictCache(Limits limits)
    : allowed_(limits.max_allowed, limits.max_bytes), denied_(limits.max_denied) {}

void VerdictCache::put(const ServerName& name, VerdictRecord record, Row row) {
  const size_t cost = cost_of(name, record.grant);
  const auto dropped = allowed_.put(
      name.text(), std::make_shared<const VerdictRecord>(std::move(record)), cost, row);
}

bool VerdictCache::allow(const ServerName& name, VerdictRecord record) {
  denied_.erase(name);
  const auto* const before = allowed_.entry(name.text());
  const WallTime due = before == nullptr ? kNever : before->beside.due;
  const bool good_enough =
      due == kNever || (record.asked < due && before->value->grant == record.grant);
  const Row row{good_enough ? due : half_life(record)};
  put(name, std::move(record), row);
  return !good_enough;
}

VerdictCache::RecordPtr VerdictCache::keep(const ServerName& name) {
  auto* const entry = allowed_.entry(name.text());
  if (entry == nullptr) return nullptr;
  WallTime& due = entry->beside.due;
  if (due != kNever && due != kAtOnce) return nullptr;
  due = half_life(*entry->value);
  return entry->value;
}

void VerdictCache::learn(const ServerName& name, VerdictRecord stored) {
  const Row row{half_life(stored)};
  put(name, std::move(stored), row);
}

void VerdictCache::not_stored(const ServerName& name) {
  auto* const entry = allowed_.entry(name.text());
  if (entry != nullptr && entry->beside.due != kNever) entry->beside.due = kAtOnce;
}

void VerdictCache::deny(const ServerName& name, uint16_t status, TimePoint until) {
  forget(name);
  denied_.set(name, status, until);
}

bool VerdictCache::forget(const ServerName& name) {
  denied_.erase(name);
  const auto dropped = allowed_.erase(name.text());
  return !dropped.empty() && dropped.front().beside.due != kNever;
}

}  // namespace latchkey
