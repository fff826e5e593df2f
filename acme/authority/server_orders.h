#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "acme/authority/server_order.h"
#include "base/clock.h"
#include "base/link.h"
#include "base/pending.h"
#include "base/task.h"
#include "base/task_set.h"
#include "cache/authority_store.h"
#include "cache/lru.h"

namespace latchkey::acme {

// An order that somebody is at, or was lately. All who are at it have the same one, so a change
// is seen by all at once; it is then stored, whole. One that could not be is forgotten: it is
// stored no more, so that it cannot undo what its successor, read from the store, comes to be.
struct LiveOrder {
  explicit LiveOrder(ServerOrder made) : order(std::move(made)) {}

  ServerOrder order;
  size_t unsaved = 0;  // puts under way: what they store is not on disk yet
  bool forgotten = false;
  Link watchers;
  size_t watching = 0;  // <= ServerOrders::kMaxWatchers
};
using LiveOrderPtr = std::shared_ptr<LiveOrder>;

// The orders of an authority: the store's, the last used in memory. Control thread.
class ServerOrders {
 public:
  static constexpr size_t kMaxCached = 20'000;
  static constexpr size_t kMaxCachedBytes = size_t{64} << 20;  // about
  static constexpr size_t kMaxWatchers = 8;                    // of an order

  ServerOrders(std::string authority, AuthorityStore& store, Clock& clock);

  // Null: there is none.
  Task<LiveOrderPtr> find(std::string id);
  // The same for who looks at many orders: one that nobody is at takes no other's place in memory,
  // and is not to be changed.
  Task<LiveOrderPtr> glance(std::string id);
  // Stores a new one.
  Task<LiveOrderPtr> add(ServerOrder order);
  // Stores it as it is now, also when the task is dropped, and tells who watches. Where that fails,
  // the order is forgotten.
  Task<> save(LiveOrderPtr order);
  // Who comes next reads it from the store, once what is being stored of it is there.
  void forget(const LiveOrderPtr& order);
  // Ids of an account's orders, at most `limit`, behind `after`.
  Task<std::vector<std::string>> list(std::string account, std::string after, size_t limit);
  // Of those that were made last, the last first.
  Task<std::vector<std::string>> last(std::string account, size_t limit);

  // Ends when the order has been stored or told of, after `limit`, or at once if too many watch.
  Task<> watch(LiveOrderPtr order, Millis limit);
  void tell(LiveOrder& order);

  AcmeOrderRow row(const ServerOrder& order) const { return order.row(authority_); }

 private:
  using Live = std::unordered_map<std::string, std::weak_ptr<LiveOrder>>;

  LiveOrderPtr known(const std::string& id);
  LiveOrderPtr shelve(ServerOrder order);
  Task<> write(LiveOrderPtr order, std::weak_ptr<Pending<>> waiting);

  const std::string authority_;
  AuthorityStore& store_;
  Clock& clock_;
  // By id; what is cached, or in the hands of a request or a validation.
  std::shared_ptr<Live> live_ = std::make_shared<Live>();
  Lru<LiveOrderPtr> recent_{kMaxCached, kMaxCachedBytes};
  TaskSet saves_;  // <= the requests in flight and the looks, and of those that went away
};

}  // namespace latchkey::acme
