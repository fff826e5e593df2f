#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/server_name.h"

namespace latchkey::edge {

// The part of a client's address that one holder of addresses has at least: an IPv4 /24, an IPv6
// /64. An IPv4 address in IPv6's clothes (::ffff:192.0.2.1) is an IPv4 address.
struct SourcePrefix {
  // Numeric, without port. All texts that are no address count as one source.
  static SourcePrefix of(std::string_view address);

  bool v6 = false;
  uint64_t bits = UINT64_MAX;  // the prefix, right-aligned

  friend bool operator==(const SourcePrefix&, const SourcePrefix&) = default;
};

}  // namespace latchkey::edge

template <>
struct std::hash<latchkey::edge::SourcePrefix> {
  size_t operator()(const latchkey::edge::SourcePrefix& prefix) const noexcept {
    // Neighbours must not fall into one shard.
    uint64_t mixed = (prefix.bits + (prefix.v6 ? 1 : 0)) * 0x9e3779b97f4a7c15ULL;
    mixed ^= mixed >> 32;
    return static_cast<size_t>(mixed * 0x9e3779b97f4a7c15ULL);
  }
};

namespace latchkey::edge {

// How many there are of each key, never more than a bound. Any thread; a mutex is held for one
// count. A key whose count comes to zero is forgotten.
template <typename Key>
class ShardedCounts {
 public:
  using Entry = std::pair<const Key, size_t>;  // stays where it is for as long as it counts

  // One more; null: there are `most` already.
  Entry* take(const Key& key, size_t most) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    if (most == 0) return nullptr;
    const auto [at, is_new] = shard.counts.try_emplace(key, 0);
    if (at->second >= most) return nullptr;
    ++at->second;
    return &*at;
  }
  // One less. REQUIRES: take() gave it, and it was not given back since.
  void give_back(Entry* entry) {
    Shard& shard = shard_of(entry->first);
    const std::lock_guard lock(shard.mutex);
    if (--entry->second == 0) shard.counts.erase(shard.counts.find(entry->first));
  }
  size_t keys() const {
    size_t sum = 0;
    for (const Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      sum += shard.counts.size();
    }
    return sum;
  }

 private:
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key, size_t> counts;  // guarded by mutex; none is zero
  };

  Shard& shard_of(const Key& key) {
    // The shard's own index uses the hash's low end.
    return shards_[(std::hash<Key>()(key) >> 40) % shards_.size()];
  }

  std::array<Shard, 16> shards_;
};

// The bounds on handshakes that wait for certificates, over all workers: in all, for one name, from
// one source. None is ever exceeded; an attempt that would break one holds the others' places for
// the instant that it takes to know. Shared by all threads; outlives its places.
class ParkingBounds {
 public:
  struct Limits {
    size_t total;
    size_t per_name;
    size_t per_prefix;
  };
  enum class Bound { kTotal, kPerName, kPerPrefix };
  class Place;

  explicit ParkingBounds(Limits limits) : limits_(limits) {}
  ParkingBounds(const ParkingBounds&) = delete;

  // A place for one handshake, or the bound that it would break.
  std::variant<Place, Bound> take(const ServerName& name, const SourcePrefix& source);

  size_t parked() const { return total_.load(std::memory_order_relaxed); }
  size_t names() const { return names_.keys(); }
  size_t sources() const { return sources_.keys(); }

 private:
  bool take_one();

  const Limits limits_;
  std::atomic<size_t> total_{0};
  ShardedCounts<ServerName> names_;      // <= limits_.total keys
  ShardedCounts<SourcePrefix> sources_;  // the same
};

// Held for as long as a handshake is parked; given back when it is destroyed.
class ParkingBounds::Place {
 public:
  Place() = default;  // none
  Place(Place&& other) noexcept
      : bounds_(std::exchange(other.bounds_, nullptr)),
        name_(other.name_),
        source_(other.source_) {}
  Place& operator=(Place&& other) noexcept {
    std::swap(bounds_, other.bounds_);
    std::swap(name_, other.name_);
    std::swap(source_, other.source_);
    other.give_back();
    return *this;
  }
  ~Place() { give_back(); }

  void give_back();

 private:
  friend class ParkingBounds;
  Place(ParkingBounds& bounds, ShardedCounts<ServerName>::Entry* name,
        ShardedCounts<SourcePrefix>::Entry* source)
      : bounds_(&bounds), name_(name), source_(source) {}

  ParkingBounds* bounds_ = nullptr;  // null: there is nothing to give back
  ShardedCounts<ServerName>::Entry* name_ = nullptr;
  ShardedCounts<SourcePrefix>::Entry* source_ = nullptr;
};

}  // namespace latchkey::edge
