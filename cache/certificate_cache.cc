#include "cache/certificate_cache.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "cache/certificate_cache_impl.h"

namespace latchkey {

using in_memory::Beside;
using in_memory::Entries;
using in_memory::Key;

namespace {

constexpr size_t kMaxShards = 16;
constexpr size_t kSmallestShard = 64;            // certificates
constexpr size_t kSmallestShardBytes = 4 << 20;  // 64 of the largest chains that anybody serves
constexpr std::chrono::seconds kRecheckEvery{60};
// A use is noted once in a day, or in a twentieth of a short life, but not all the time.
constexpr std::chrono::seconds kNoteEvery{24 * 3600};
constexpr std::chrono::seconds kNoteSeldomer{10};

// A shard has its share of both bounds, so the sums keep them exactly, and so that an uneven hash
// wastes little of them a share is never small: a small cache is one shard, and then a strict LRU.
size_t shard_count(const CertificateCache::Limits& limits) {
  const size_t wanted =
      std::min(limits.max_certificates / kSmallestShard, limits.max_bytes / kSmallestShardBytes);
  return std::clamp<size_t>(wanted, 1, kMaxShards);
}

size_t share(size_t whole, size_t parts, size_t which) {
  return whole / parts + (which < whole % parts ? 1 : 0);
}

// Is this use to be noted? To one caller in a period; the periods of different names begin at
// different times of the day, so that they are not all noted at midnight.
bool take_note(Entries::Entry& entry, WallTime now) {
  using std::chrono::seconds;
  if (now == WallTime::min()) return false;
  const Certificate& certificate = *entry.value;
  const seconds period = std::clamp<seconds>(
      (certificate.not_after() - certificate.not_before()) / 20, kNoteSeldomer, kNoteEvery);
  WallTime& next = entry.beside.note_use_at;
  // Further away than a period it never is, unless the clock was put back.
  if (next > now && next - now <= period) return false;
  const auto hash = static_cast<int64_t>(std::hash<std::string>()(entry.key) >> 1);
  const seconds since = (now.time_since_epoch() + seconds(hash % period.count())) % period;
  next = now + period - since;
  return true;
}

}  // namespace

CertificateCache::CertificateCache(Limits limits) {
  const size_t count = shard_count(limits);
  shards_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    shards_.push_back(std::make_unique<Shard>(share(limits.max_certificates, count, i),
                                              share(limits.max_bytes, count, i)));
  }
}

CertificateCache::~CertificateCache() = default;

size_t CertificateCache::shard_number(std::string_view name) const {
  // The shard's own index uses the hash's low end.
  const size_t hash = std::hash<std::string_view>()(name);
  return (hash >> 40) % shards_.size();
}

CertificateCache::Shard& CertificateCache::shard_of(std::string_view name) const {
  return *shards_[shard_number(name)];
}

namespace {

// To one caller in a while.
bool take_recheck(NameExtras& extras, WallTime now) {
  const bool due = extras.recheck_at <= now;
  if (due) extras.recheck_at = now + kRecheckEvery;
  return due;
}

bool is_own_name(const Certificate& certificate, std::string_view name) {
  const auto& names = certificate.names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Is it the wildcard's certificate, rather than the name's own? `parent`: the name's.
bool only_by_wildcard(const Certificate& certificate, const ServerName& name) {
  const std::string_view parent = name.parent();
  if (parent.empty() || is_own_name(certificate, name.text())) return false;
  const Key wildcard = Key::wildcard(parent, Slot::kMain);
  return is_own_name(certificate, wildcard.text());
}

}  // namespace

CacheHit CertificateCache::look_up(const ServerName& name, WallTime now, Slot slot) const {
  GrantPtr grant;
  bool recheck_due = false;
  bool exact = false;
  {
    const Key key(name.text(), slot);
    Shard& shard = shard_of(key.name());
    const std::lock_guard lock(shard.mutex);
    const CertificatePtr* pinned = shard.find_pinned(key, slot);
    const Shard::Own own = shard.find(key, slot);
    if (own.serving != nullptr && pinned == nullptr) {
      NameExtras& extras = own.serving->beside.extras;
      return {own.serving->value, extras.grant, take_recheck(extras, now), true,
              take_note(*own.serving, now)};
    }
    if (own.beside != nullptr) {  // the grant of what a configured one serves, or a wildcard's
      NameExtras& extras = own.beside->beside.extras;
      grant = extras.grant;
      recheck_due = take_recheck(extras, now);
      exact = true;
    }
    if (pinned != nullptr) return {*pinned, std::move(grant), recheck_due, true, false, true};
  }
  const std::string_view parent = name.parent();
  if (parent.empty() || name.is_wildcard()) return {};
  const Key key = Key::wildcard(parent, slot);
  Shard& shard = shard_of(key.name());
  const std::lock_guard lock(shard.mutex);
  if (const CertificatePtr* pinned = shard.find_pinned(key, slot)) {
    return {*pinned, std::move(grant), recheck_due, exact, false, true};
  }
  Entries::Entry* entry = shard.find(key, slot).serving;
  if (entry == nullptr) return {};
  return {entry->value, std::move(grant), recheck_due, exact, take_note(*entry, now)};
}

CertificatePtr CertificateCache::find(const ServerName& name, Slot slot) const {
  return look_up(name, WallTime::min(), slot).certificate;  // nothing was due then
}

bool CertificateCache::put_wildcards(const ServerName& name, const CertificatePtr& certificate,
                                     Slot slot, bool only_replace) {
  const std::string_view parent = name.parent();
  bool covers = false;
  for (const std::string& own : certificate->names()) {
    if (!own.starts_with("*.") || own == name.text()) continue;
    Entries::Dropped dropped;  // dies after the lock is released
    const Key key(own, slot);
    Shard& shard = shard_of(own);
    const std::lock_guard lock(shard.mutex);
    const Certificate* present = shard.lru.peek(key.text());
    if (present == nullptr && only_replace) continue;
    covers |= std::string_view(own).substr(2) == parent;
    // An older certificate that the store hands out for one name must not undo a newer wildcard.
    if (present != nullptr && present->not_before() > certificate->not_before()) continue;
    if (shard.lru.peek_beside(key.text()) == nullptr) {
      shard.put(key.text(), certificate, {}, dropped);
    } else {
      shard.replace(key.text(), certificate, dropped);
    }
  }
  return covers;
}

void CertificateCache::put(const ServerName& name, CertificatePtr certificate, NameExtras extras,
                           Slot slot) {
  CHECK(certificate != nullptr);
  if (slot == Slot::kRsa && !certificate->is_rsa()) return;
  put_wildcards(name, certificate, slot, false);
  // In one place only, so that a renewal or a staple of the wildcard is one for all of its names.
  const bool shared = only_by_wildcard(*certificate, name);
  NameExtras other = extras;
  Entries::Dropped dropped;
  const Key key(name.text(), slot);
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  if (!shared) {
    shard.put(key.text(), std::move(certificate), std::move(extras), dropped);
    const Key twin(name.text(), in_memory::other_slot(slot));
    shard.set_extras(twin.text(), other, dropped);
    return;
  }
  if (slot == Slot::kRsa) {
    dropped = shard.lru.erase(key.text());
    if (shard.lru.peek_beside(name.text()) != nullptr) {
      shard.set_extras(name.text(), other, dropped);
      return;
    }
  }
  shard.put(name.text(), nullptr, std::move(extras), dropped);
}

void CertificateCache::put_extras(const ServerName& name, NameExtras extras) {
  Entries::Dropped dropped;
  const Key twin(name.text(), Slot::kRsa);
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  dropped = shard.lru.erase(twin.text());
  shard.put(name.text(), nullptr, std::move(extras), dropped);
}

bool CertificateCache::replace(const ServerName& name, const CertificatePtr& certificate,
                               Slot slot) {
  CHECK(certificate != nullptr);
  if (slot == Slot::kRsa && !certificate->is_rsa()) return false;
  const Key key(name.text(), slot);
  Shard& shard = shard_of(name.text());
  bool present = false;
  {
    const std::lock_guard lock(shard.mutex);
    present = shard.lru.peek_beside(key.text()) != nullptr;
  }
  const bool shared = only_by_wildcard(*certificate, name);
  const bool found = put_wildcards(name, certificate, slot, !(present && shared));
  if (!present) return found;
  Entries::Dropped dropped;
  const std::lock_guard lock(shard.mutex);
  // Where the wildcard serves it from now on, nothing but the extras stays.
  shard.replace(key.text(), shared ? nullptr : certificate, dropped);
  return true;
}

void CertificateCache::set_extras(const ServerName& name, NameExtras extras) {
  NameExtras other = extras;
  Entries::Dropped dropped;
  const Key twin(name.text(), Slot::kRsa);
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  shard.set_extras(name.text(), extras, dropped);
  shard.set_extras(twin.text(), other, dropped);
}

void CertificateCache::recheck_all(WallTime at) {
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->lru.change_all([at](Beside& beside) {
      beside.extras.recheck_at = std::min(beside.extras.recheck_at, at);
    });
  }
}

void CertificateCache::erase(const ServerName& name) {
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  for (const Slot slot : in_memory::kSlots) {
    const Key key(name.text(), slot);
    dropped.splice(dropped.end(), shard.lru.erase(key.text()));
  }
}

void CertificateCache::erase(const Certificate& certificate) {
  for (const std::string& own : certificate.names()) {
    for (const Slot slot : in_memory::kSlots) {
      Entries::Dropped dropped;
      const Key key(own, slot);
      Shard& shard = shard_of(own);
      const std::lock_guard lock(shard.mutex);
      const Certificate* present = shard.lru.peek(key.text());
      if (present != nullptr && present->same_leaf(certificate)) {
        dropped = shard.lru.erase(key.text());
      }
    }
  }
}

void CertificateCache::clear() {
  for (const auto& shard : shards_) {
    Entries::Dropped dropped;  // dies after the lock is released
    const std::lock_guard lock(shard->mutex);
    dropped = shard->lru.clear();
  }
}

size_t CertificateCache::size() const {
  size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->lru.size();
  }
  return sum;
}

size_t CertificateCache::bytes() const {
  size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->lru.cost();
  }
  return sum;
}

}  // namespace latchkey
