#include "cache/certificate_cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

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

// `certificate`: may be null.
size_t cost(std::string_view key, const Certificate* certificate, const NameExtras& extras) {
  size_t sum = (certificate == nullptr ? 0 : certificate->bytes()) + key.size() + kEntryBytes;
  if (const Grant* grant = extras.grant.get()) {  // may be shared; then it counts too often
    sum += sizeof(Grant) + grant->upstream.size() + grant->tenant.size() + grant->issuer.size() +
           grant->profile.size() + grant->key_type.size();
  }
  return sum;
}

// What is kept of a name beside its certificate, which may be null: then it is a wildcard's.
struct Beside {
  NameExtras extras{};
  WallTime note_use_at = WallTime::min();
};
using Entries = Lru<Certificate, Beside>;

// What a name, or the wildcard of one, is kept under in a slot. No allocation.
class Key {
 public:
  Key(std::string_view name, Slot slot) : name_(name), key_(name) {
    if (slot == Slot::kMain) return;
    size_ = 0;
    append({&kTwin, 1});
    append(name);
    key_ = {buffer_.data(), size_};
    name_ = key_.substr(1);
  }
  // "*." before the parent of a name.
  static Key wildcard(std::string_view parent, Slot slot) { return {parent, slot, "*."}; }
  Key(const Key&) = delete;

  std::string_view text() const { return key_; }
  // The name alone: it chooses the shard, so that both slots of a name are in one.
  std::string_view name() const { return name_; }

 private:
  static constexpr char kTwin = '\x01';  // in no name

  Key(std::string_view parent, Slot slot, std::string_view star) {
    if (slot != Slot::kMain) append({&kTwin, 1});
    const size_t start = size_;
    append(star);
    append(parent);
    key_ = {buffer_.data(), size_};
    name_ = key_.substr(start);
  }
  void append(std::string_view text) {
    CHECK(size_ + text.size() <= buffer_.size());
    std::copy(text.begin(), text.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
  }

  std::array<char, 256> buffer_;  // a name has at most 253 bytes
  size_t size_ = 0;
  std::string_view name_, key_;
};

constexpr std::array kSlots{Slot::kMain, Slot::kRsa};

Slot other_slot(Slot slot) {
  return slot == Slot::kMain ? Slot::kRsa : Slot::kMain;
}

// By key. Certificate per name: several names of one certificate share it.
struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
};
using Pinned = std::unordered_map<std::string, CertificatePtr, KeyHash, std::equal_to<>>;

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
  Entries lru;    // guarded by mutex
  Pinned pinned;  // the same; what is configured, in no list of uses

  // REQUIRES: mutex is held, for all of these.

  // What is configured for exactly that name.
  CertificatePtr find_pinned(const Key& key, Slot slot) const {
    if (pinned.empty()) return nullptr;
    const auto own = pinned.find(key.text());
    if (own != pinned.end()) return own->second;
    if (slot == Slot::kMain) return nullptr;
    const auto main = pinned.find(key.name());
    return main != pinned.end() && main->second->is_rsa() ? main->second : nullptr;
  }
  // The entry of exactly that name whose certificate is of use in the slot; null: none.
  Entries::Entry* find(const Key& key, Slot slot) {
    Entries::Entry* own = lru.entry(key.text());
    if (own != nullptr && own->value != nullptr) return own;
    if (slot == Slot::kMain) return nullptr;
    Entries::Entry* main = lru.entry(key.name());
    return main != nullptr && main->value != nullptr && main->value->is_rsa() ? main : nullptr;
  }
  void put(std::string_view key, CertificatePtr certificate, NameExtras extras,
           Entries::Dropped& dropped) {
    const size_t bytes = cost(key, certificate.get(), extras);
    dropped.splice(dropped.end(),
                   lru.put(std::string(key), std::move(certificate), bytes, {std::move(extras)}));
  }
  // Another certificate for what is there; its extras stay.
  void replace(std::string_view key, CertificatePtr certificate, Entries::Dropped& dropped) {
    const Beside* beside = lru.peek_beside(key);
    if (beside == nullptr) return;
    const size_t bytes = cost(key, certificate.get(), beside->extras);
    dropped.splice(dropped.end(), lru.replace(key, std::move(certificate), bytes));
  }
  // The other way about. The old extras are left in `extras`, to die after the lock is released.
  void set_extras(std::string_view key, NameExtras& extras, Entries::Dropped& dropped) {
    Entries::Entry* entry = lru.entry(key);
    if (entry == nullptr) return;
    const size_t bytes = cost(key, entry->value.get(), extras);
    std::swap(entry->beside.extras, extras);
    dropped.splice(dropped.end(), lru.replace(key, entry->value, bytes));
  }
};

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
  CacheHit hit;
  {
    const Key key(name.text(), slot);
    Shard& shard = shard_of(key.name());
    const std::lock_guard lock(shard.mutex);
    hit.certificate = shard.find_pinned(key, slot);
    hit.exact = hit.configured = hit.certificate != nullptr;
    Entries::Entry* entry = shard.find(key, slot);
    if (entry != nullptr && !hit.configured) {
      NameExtras& extras = entry->beside.extras;
      return {entry->value, extras.grant, take_recheck(extras, now), true, take_note(*entry, now)};
    }
    // The grant of a name that has a configured certificate, or a wildcard's.
    if (entry == nullptr) entry = shard.lru.entry(key.name());
    if (entry != nullptr) {
      hit.grant = entry->beside.extras.grant;
      hit.recheck_due = take_recheck(entry->beside.extras, now);
      hit.exact = true;
    }
    if (hit.configured) return hit;
  }
  const std::string_view parent = name.parent();
  if (parent.empty() || name.is_wildcard()) return {};
  const Key key = Key::wildcard(parent, slot);
  Shard& shard = shard_of(key.name());
  const std::lock_guard lock(shard.mutex);
  hit.certificate = shard.find_pinned(key, slot);
  hit.configured = hit.certificate != nullptr;
  if (hit.configured) return hit;
  Entries::Entry* entry = shard.find(key, slot);
  if (entry == nullptr) return {};
  hit.certificate = entry->value;
  hit.note_use = take_note(*entry, now);
  return hit;
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
    const Key twin(name.text(), other_slot(slot));
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

bool CertificateCache::restaple(const CertificatePtr& certificate) {
  CHECK(certificate != nullptr);
  const std::lock_guard all(configured_mutex_);
  bool found = false;
  for (CertificatePtr& one : configured_) {
    if (one->same_leaf(*certificate)) one = certificate;
  }
  for (const std::string& own : certificate->names()) {
    for (const Slot slot : kSlots) {
      Entries::Dropped dropped;
      CertificatePtr old;
      const Key key(own, slot);
      Shard& shard = shard_of(own);
      const std::lock_guard lock(shard.mutex);
      if (const auto pinned = shard.pinned.find(key.text());
          pinned != shard.pinned.end() && pinned->second->same_leaf(*certificate)) {
        old = std::exchange(pinned->second, certificate);
        found = true;
      }
      const Certificate* present = shard.lru.peek(key.text());
      if (present == nullptr || !present->same_leaf(*certificate)) continue;
      shard.replace(key.text(), certificate, dropped);
      found = true;
    }
  }
  return found;
}

namespace {

// Of one name: what is configured for everybody, and the RSA twin beside it.
struct Choice {
  CertificatePtr main, rsa;
};

std::map<std::string_view, Choice> choose(const std::vector<CertificatePtr>& certificates) {
  std::map<std::string_view, Choice> chosen;
  for (const CertificatePtr& one : certificates) {
    for (const std::string& own : one->names()) {
      Choice& choice = chosen[own];
      (one->is_rsa() ? choice.rsa : choice.main) = one;
    }
  }
  for (auto& [name, choice] : chosen) {
    if (choice.main == nullptr) choice.main = std::exchange(choice.rsa, nullptr);
  }
  return chosen;
}

}  // namespace

void CertificateCache::set_configured(const std::vector<ConfiguredCertificate>& certificates) {
  const std::lock_guard all(configured_mutex_);
  std::map<std::string, StaplePtr> staples;  // by leaf
  for (const CertificatePtr& one : configured_) {
    if (one->staple() != nullptr) staples.emplace(one->leaf_hash(), one->staple());
  }
  std::vector<CertificatePtr> fresh;
  fresh.reserve(certificates.size());
  for (const ConfiguredCertificate& one : certificates) {
    CHECK(one.certificate != nullptr);
    const auto stapled = staples.find(one.certificate->leaf_hash());
    const bool keep = stapled != staples.end() && one.certificate->staple() == nullptr;
    fresh.push_back(keep ? one.certificate->with_staple(stapled->second) : one.certificate);
  }
  std::vector<Pinned> pinned(shards_.size());
  for (const auto& [name, choice] : choose(fresh)) {
    Pinned& to = pinned[shard_number(name)];
    const Key main(name, Slot::kMain);
    const Key rsa(name, Slot::kRsa);
    to.emplace(main.text(), choice.main);
    if (choice.rsa != nullptr) to.emplace(rsa.text(), choice.rsa);
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    const std::lock_guard lock(shards_[i]->mutex);
    std::swap(shards_[i]->pinned, pinned[i]);  // the old ones die after the lock is released
  }
  configured_ = std::move(fresh);
}

std::vector<CertificatePtr> CertificateCache::configured() const {
  const std::lock_guard lock(configured_mutex_);
  return configured_;
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
  for (const Slot slot : kSlots) {
    const Key key(name.text(), slot);
    dropped.splice(dropped.end(), shard.lru.erase(key.text()));
  }
}

void CertificateCache::erase(const Certificate& certificate) {
  for (const std::string& own : certificate.names()) {
    for (const Slot slot : kSlots) {
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
