#pragma once
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace latchkey {

struct Nothing {};

// Keeps the most recently used values, bounded by their number and by the sum of their costs. For
// one thread (or behind a mutex). A value handed out stays valid after its eviction. `Beside`: what
// is kept of the key, rather than of the value, which other keys may have too.
template <typename V, typename Beside = Nothing>
class Lru {
 public:
  using Ptr = std::shared_ptr<const V>;
  struct Entry {
    std::string key;
    Ptr value;
    size_t cost = 0;
    [[no_unique_address]] Beside beside{};
  };
  // What left the cache: the caller lets go of it when it suits, for instance after unlocking.
  using Dropped = std::list<Entry>;

  Lru(size_t max_entries, size_t max_cost) : max_entries_(max_entries), max_cost_(max_cost) {}
  Lru(const Lru&) = delete;

  // Null if there is none. Counts as a use.
  Ptr get(std::string_view key) {
    const Entry* found = entry(key);
    return found == nullptr ? nullptr : found->value;
  }
  // The same. Of what it points to only `beside` may be changed; valid until the next put or erase.
  Entry* entry(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &*found->second;
  }
  // The same, but not a use.
  const V* peek(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : found->second->value.get();
  }

  // What is kept beside it; not a use. Null if there is none.
  const Beside* peek_beside(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->beside;
  }

  // Replaces what was there. What is costlier than the whole cache may hold is not kept.
  [[nodiscard]] Dropped put(std::string key, Ptr value, size_t cost, Beside beside = {}) {
    Dropped dropped = erase(key);
    entries_.push_front({std::move(key), std::move(value), cost, std::move(beside)});
    index_.emplace(entries_.front().key, entries_.begin());
    cost_ += cost;
    if (cost > max_cost_) {  // and nothing else has to go for it
      take(entries_.begin(), dropped);
      return dropped;
    }
    while (entries_.size() > max_entries_ || cost_ > max_cost_) {
      take(std::prev(entries_.end()), dropped);
    }
    return dropped;
  }

  // Another value for what is there, which stays where it is, with what is beside it. Nothing where
  // there is none.
  [[nodiscard]] Dropped replace(std::string_view key, Ptr value, size_t cost) {
    Dropped dropped;
    const auto found = index_.find(key);
    if (found == index_.end()) return dropped;
    const Place place = found->second;
    cost_ = cost_ - place->cost + cost;
    place->cost = cost;
    std::swap(place->value, value);
    dropped.push_front({{}, std::move(value), 0, {}});
    if (cost > max_cost_) take(place, dropped);
    while (cost_ > max_cost_) take(std::prev(entries_.end()), dropped);
    return dropped;
  }

  [[nodiscard]] Dropped erase(std::string_view key) {
    Dropped dropped;
    if (const auto found = index_.find(key); found != index_.end()) take(found->second, dropped);
    return dropped;
  }

  [[nodiscard]] Dropped clear() {
    index_.clear();
    cost_ = 0;
    return std::exchange(entries_, {});
  }

  // Of `beside` only; not a use.
  template <typename Change>
  void change_all(Change change) {
    for (Entry& entry : entries_) change(entry.beside);
  }

  size_t size() const { return entries_.size(); }
  size_t cost() const { return cost_; }

 private:
  using Place = typename std::list<Entry>::iterator;

  void take(Place place, Dropped& to) {
    index_.erase(place->key);
    cost_ -= place->cost;
    to.splice(to.end(), entries_, place);
  }

  const size_t max_entries_;
  const size_t max_cost_;
  size_t cost_ = 0;           // of all entries; <= max_cost_
  std::list<Entry> entries_;  // the most recently used first; <= max_entries_
  std::unordered_map<std::string_view, Place> index_;  // keys: views into entries_
};

}  // namespace latchkey
