#include "cache/certificate_cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "base/check.h"
#include "cache/lru.h"

namespace latchkey {
namespace {

constexpr size_t kMaxShards = 16;
constexpr size_t kSmallestShard = 64;            // certificates
constexpr size_t kSmallestShardBytes = 4 << 20;  // 64 of the largest chains that anybody serves
constexpr size_t kEntryBytes = 184;  // list node, index node, bucket: what an entry adds to a name
constexpr std::chrono::seconds kRecheckEvery{60};

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

size_t cost(std::string_view key, const Certificate& certificate, const NameExtras& extras) {
  size_t sum = certificate.bytes() + key.size() + kEntryBytes;
  if (const Grant* grant = extras.grant.get()) {  // may be shared; then it counts too often
    sum += sizeof(Grant) + grant->upstream.size() + grant->tenant.size() + grant->issuer.size() +
           grant->profile.size() + grant->key_type.size();
  }
  return sum;
}

using Entries = Lru<Certificate, NameExtras>;

}  // namespace

struct alignas(64) CertificateCache::Shard {
  Shard(size_t max_certificates, size_t max_bytes) : lru(max_certificates, max_bytes) {}

  std::mutex mutex;
  Entries lru;  // guarded by mutex
};

CertificateCache::CertificateCache(Limits limits) {
  const size_t count = shard_count(limits);
  for (size_t i = 0; i < count; ++i) {
    shards_.push_back(std::make_unique<Shard>(share(limits.max_certificates, count, i),
                                              share(limits.max_bytes, count, i)));
  }
}

CertificateCache::~CertificateCache() = default;

CertificateCache::Shard& CertificateCache::shard_of(std::string_view key) const {
  // The shard's own index uses the hash's low end.
  const size_t hash = std::hash<std::string_view>()(key);
  return *shards_[(hash >> 40) % shards_.size()];
}

CacheHit CertificateCache::look_up(const ServerName& name, WallTime now) const {
  {
    const std::string_view exact = name.text();
    Shard& shard = shard_of(exact);
    const std::lock_guard lock(shard.mutex);
    if (Entries::Entry* entry = shard.lru.entry(exact)) {
      NameExtras& extras = entry->beside;
      const bool due = extras.recheck_at <= now;
      if (due) extras.recheck_at = now + kRecheckEvery;
      return {entry->value, extras.grant, due, true};
    }
  }
  const std::string_view parent = name.parent();
  if (parent.empty()) return {};
  std::array<char, 256> buffer;  // a ServerName has at most 253 bytes
  CHECK(parent.size() + 2 <= buffer.size());
  buffer[0] = '*';
  buffer[1] = '.';
  std::copy(parent.begin(), parent.end(), buffer.begin() + 2);
  const std::string_view wildcard(buffer.data(), parent.size() + 2);
  Shard& shard = shard_of(wildcard);
  const std::lock_guard lock(shard.mutex);
  return {shard.lru.get(wildcard), nullptr, false, false};
}

CertificatePtr CertificateCache::find(const ServerName& name) const {
  return look_up(name, WallTime::min()).certificate;  // nothing was due then
}

void CertificateCache::put(const ServerName& name, CertificatePtr certificate, NameExtras extras) {
  CHECK(certificate != nullptr);
  for (const std::string& own : certificate->names()) {
    if (!own.starts_with("*.") || own == name.text()) continue;
    Entries::Dropped dropped;  // dies after the lock is released
    Shard& shard = shard_of(own);
    const std::lock_guard lock(shard.mutex);
    // An older certificate that the store hands out for one name must not undo a newer wildcard.
    const Certificate* present = shard.lru.peek(own);
    if (present != nullptr && present->not_before() > certificate->not_before()) continue;
    dropped = shard.lru.put(own, certificate, cost(own, *certificate, {}));
  }
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  const size_t bytes = cost(name.text(), *certificate, extras);
  dropped = shard.lru.put(name.text(), std::move(certificate), bytes, std::move(extras));
}

void CertificateCache::set_extras(const ServerName& name, NameExtras extras) {
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  CertificatePtr certificate = shard.lru.get(name.text());
  if (certificate == nullptr) return;
  const size_t bytes = cost(name.text(), *certificate, extras);
  dropped = shard.lru.put(name.text(), std::move(certificate), bytes, std::move(extras));
}

void CertificateCache::recheck_all(WallTime at) {
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->lru.change_all(
        [at](NameExtras& extras) { extras.recheck_at = std::min(extras.recheck_at, at); });
  }
}

void CertificateCache::erase(const ServerName& name) {
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  dropped = shard.lru.erase(name.text());
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
