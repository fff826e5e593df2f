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
constexpr size_t kEntryBytes = 192;  // list node, index node, bucket: what an entry adds to a name
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

size_t cost(std::string_view key, const Certificate& certificate, const NameExtras& extras) {
  size_t sum = certificate.bytes() + key.size() + kEntryBytes;
  if (const Grant* grant = extras.grant.get()) {  // may be shared; then it counts too often
    sum += sizeof(Grant) + grant->upstream.size() + grant->tenant.size() + grant->issuer.size() +
           grant->profile.size() + grant->key_type.size();
  }
  return sum;
}

// What is kept of a name beside its certificate.
struct Beside {
  NameExtras extras{};
  WallTime note_use_at = WallTime::min();
};
using Entries = Lru<Certificate, Beside>;

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

namespace {

// The wildcard that covers a name, without an allocation.
class Wildcard {
 public:
  // `parent`: of the name; not empty.
  explicit Wildcard(std::string_view parent) : size_(parent.size() + 2) {
    CHECK(size_ <= buffer_.size());
    buffer_[0] = '*';
    buffer_[1] = '.';
    std::copy(parent.begin(), parent.end(), buffer_.begin() + 2);
  }
  std::string_view text() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, 256> buffer_;  // a ServerName has at most 253 bytes
  const size_t size_;
};

}  // namespace

CacheHit CertificateCache::look_up(const ServerName& name, WallTime now) const {
  {
    const std::string_view exact = name.text();
    Shard& shard = shard_of(exact);
    const std::lock_guard lock(shard.mutex);
    if (Entries::Entry* entry = shard.lru.entry(exact)) {
      NameExtras& extras = entry->beside.extras;
      const bool due = extras.recheck_at <= now;
      if (due) extras.recheck_at = now + kRecheckEvery;
      return {entry->value, extras.grant, due, true, take_note(*entry, now)};
    }
  }
  const std::string_view parent = name.parent();
  if (parent.empty()) return {};
  const Wildcard wildcard(parent);
  Shard& shard = shard_of(wildcard.text());
  const std::lock_guard lock(shard.mutex);
  Entries::Entry* entry = shard.lru.entry(wildcard.text());
  if (entry == nullptr) return {};
  return {entry->value, nullptr, false, false, take_note(*entry, now)};
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
  dropped = shard.lru.put(name.text(), std::move(certificate), bytes, {std::move(extras)});
}

bool CertificateCache::replace(const ServerName& name, const CertificatePtr& certificate) {
  CHECK(certificate != nullptr);
  const std::string_view parent = name.parent();
  bool found = false;
  for (const std::string& own : certificate->names()) {
    if (!own.starts_with("*.") || own == name.text()) continue;
    Entries::Dropped dropped;  // dies after the lock is released
    Shard& shard = shard_of(own);
    const std::lock_guard lock(shard.mutex);
    const Certificate* present = shard.lru.peek(own);
    if (present == nullptr) continue;
    found |= std::string_view(own).substr(2) == parent;
    if (present->not_before() > certificate->not_before()) continue;
    dropped = shard.lru.replace(own, certificate, cost(own, *certificate, {}));
  }
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  const Beside* beside = shard.lru.peek_beside(name.text());
  if (beside == nullptr) return found;
  const size_t bytes = cost(name.text(), *certificate, beside->extras);
  dropped = shard.lru.replace(name.text(), certificate, bytes);
  return true;
}

void CertificateCache::set_extras(const ServerName& name, NameExtras extras) {
  Entries::Dropped dropped;
  Shard& shard = shard_of(name.text());
  const std::lock_guard lock(shard.mutex);
  Entries::Entry* entry = shard.lru.entry(name.text());
  if (entry == nullptr) return;
  const size_t bytes = cost(name.text(), *entry->value, extras);
  std::swap(entry->beside.extras, extras);  // so that the old ones die after the lock is released
  dropped = shard.lru.replace(name.text(), entry->value, bytes);
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
