#pragma once
// Inside of CertificateCache: what a shard holds, and under which keys.

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "cache/certificate_cache.h"
#include "cache/lru.h"

namespace latchkey {
namespace in_memory {

inline constexpr size_t kEntryBytes =
    192;  // list node, index node, bucket: what an entry adds to a name

// `certificate`: may be null.
inline size_t cost(std::string_view key, const Certificate* certificate, const NameExtras& extras) {
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

inline constexpr std::array kSlots{Slot::kMain, Slot::kRsa};

inline Slot other_slot(Slot slot) {
  return slot == Slot::kMain ? Slot::kRsa : Slot::kMain;
}

// By key. Certificate per name: several names of one certificate share it.
struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
};
using Pinned = std::unordered_map<std::string, CertificatePtr, KeyHash, std::equal_to<>>;

}  // namespace in_memory

struct alignas(64) CertificateCache::Shard {
  Shard(size_t max_certificates, size_t max_bytes) : lru(max_certificates, max_bytes) {}

  std::mutex mutex;
  in_memory::Entries lru;    // guarded by mutex
  in_memory::Pinned pinned;  // the same; what is configured, in no list of uses

  // REQUIRES: mutex is held, for all of these.

  // What is configured for exactly that name; null: nothing.
  const CertificatePtr* find_pinned(const in_memory::Key& key, Slot slot) const {
    if (pinned.empty()) return nullptr;
    const auto own = pinned.find(key.text());
    if (own != pinned.end()) return &own->second;
    if (slot == Slot::kMain) return nullptr;
    const auto main = pinned.find(key.name());
    return main != pinned.end() && main->second->is_rsa() ? &main->second : nullptr;
  }
  // What is kept of exactly that name.
  struct Own {
    in_memory::Entries::Entry* serving = nullptr;  // its certificate is of use in the slot
    in_memory::Entries::Entry* beside = nullptr;   // has the name's extras
  };
  Own find(const in_memory::Key& key, Slot slot) {
    in_memory::Entries::Entry* own = lru.entry(key.text());
    if (own != nullptr && own->value != nullptr) return {own, own};
    if (slot == Slot::kMain) return {nullptr, own};
    in_memory::Entries::Entry* main = lru.entry(key.name());
    const bool serves = main != nullptr && main->value != nullptr && main->value->is_rsa();
    return {serves ? main : nullptr, main};
  }
  void put(std::string_view key, CertificatePtr certificate, NameExtras extras,
           in_memory::Entries::Dropped& dropped) {
    const size_t bytes = in_memory::cost(key, certificate.get(), extras);
    dropped.splice(dropped.end(),
                   lru.put(std::string(key), std::move(certificate), bytes, {std::move(extras)}));
  }
  // Another certificate for what is there; its extras stay.
  void replace(std::string_view key, CertificatePtr certificate,
               in_memory::Entries::Dropped& dropped) {
    const in_memory::Beside* beside = lru.peek_beside(key);
    if (beside == nullptr) return;
    const size_t bytes = in_memory::cost(key, certificate.get(), beside->extras);
    dropped.splice(dropped.end(), lru.replace(key, std::move(certificate), bytes));
  }
  // The other way about. The old extras are left in `extras`, to die after the lock is released.
  void set_extras(std::string_view key, NameExtras& extras, in_memory::Entries::Dropped& dropped) {
    in_memory::Entries::Entry* entry = lru.entry(key);
    if (entry == nullptr) return;
    const size_t bytes = in_memory::cost(key, entry->value.get(), extras);
    std::swap(entry->beside.extras, extras);
    dropped.splice(dropped.end(), lru.replace(key, entry->value, bytes));
  }
};

}  // namespace latchkey
