#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "acme/authority/server_order.h"
#include "base/clock.h"
#include "base/link.h"
#include "base/task.h"
#include "cache/authority_store.h"
#include "cache/lru.h"

namespace latchkey::acme {

// An order that somebody is at, or was lately. All who are at it have the same one, so a change
// is seen by all at once; it is then stored, whole.
struct LiveOrder {
  explicit LiveOrder(ServerOrder made) : order(std::move(made)) {}

  ServerOrder order;
  Link watchers;  // bounded by the requests in flight
};
using LiveOrderPtr = std::shared_ptr<LiveOrder>;

// The orders of an authority: the store's, the last used in memory. Control thread.
class ServerOrders {
 public:
  static constexpr size_t kMaxCached = 20'000;
  static constexpr size_t kMaxCachedBytes = size_t{64} << 20;  // about

  ServerOrders(std::string authority, AuthorityStore& store, Clock& clock);

  // Null: there is none.
  Task<LiveOrderPtr> find(std::string id);
  // Stores a new one.
  Task<LiveOrderPtr> add(ServerOrder order);
  // Stores it as it is now, and tells who watches. Where that fails, the order is read anew by who
  // asks next.
  Task<> save(LiveOrderPtr order);
  // Who comes next reads it from the store.
  void forget(const LiveOrderPtr& order);
  // Ids of an account's orders, at most `limit`, behind `after`.
  Task<std::vector<std::string>> list(std::string account, std::string after, size_t limit);

  // Ends when the order has been stored or told of, or after `limit`.
  Task<> watch(LiveOrderPtr order, Millis limit);
  void tell(LiveOrder& order);

  AcmeOrderRow row(const ServerOrder& order) const { return order.row(authority_); }

 private:
  using Live = std::unordered_map<std::string, std::weak_ptr<LiveOrder>>;

  LiveOrderPtr known(const std::string& id);
  LiveOrderPtr shelve(ServerOrder order);

  const std::string authority_;
  AuthorityStore& store_;
  Clock& clock_;
  // By id; what is cached, or in the hands of a request or a validation.
  std::shared_ptr<Live> live_ = std::make_shared<Live>();
  Lru<LiveOrderPtr> recent_{kMaxCached, kMaxCachedBytes};
};

}  // namespace latchkey::acme
