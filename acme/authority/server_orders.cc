#include "acme/authority/server_orders.h"

namespace latchkey::acme {
namespace {

// What one keeps of memory, about.
size_t cost_of(const ServerOrder& order) {
  constexpr size_t kOrder = 600;
  constexpr size_t kAuthorization = 700;
  return kOrder + kAuthorization * order.authorizations.size();
}

struct Watcher : Link {
  explicit Watcher(LiveOrder& watched) : order(watched) { ++order.watching; }
  ~Watcher() { --order.watching; }

  LiveOrder& order;
  Pending<> turn;
  Alarm alarm;
};

}  // namespace

ServerOrders::ServerOrders(std::string authority, AuthorityStore& store, Clock& clock)
    : authority_(std::move(authority)), store_(store), clock_(clock) {}

LiveOrderPtr ServerOrders::known(const std::string& id) {
  if (const auto recent = recent_.get(id)) return *recent;
  const auto found = live_->find(id);
  return found == live_->end() ? nullptr : found->second.lock();
}

LiveOrderPtr ServerOrders::shelve(ServerOrder order) {
  const std::string id = order.id;
  const size_t cost = cost_of(order);
  LiveOrderPtr made(new LiveOrder(std::move(order)),
                    [live = std::weak_ptr<Live>(live_)](LiveOrder* gone) {
                      const std::unique_ptr<LiveOrder> owner(gone);
                      const std::shared_ptr<Live> map = live.lock();
                      if (map == nullptr) return;
                      const auto found = map->find(gone->order.id);
                      if (found != map->end() && found->second.expired()) map->erase(found);
                    });
  (*live_)[id] = made;
  static_cast<void>(recent_.put(id, std::make_shared<const LiveOrderPtr>(made), cost));
  return made;
}

Task<LiveOrderPtr> ServerOrders::find(std::string id) {
  if (LiveOrderPtr here = known(id)) co_return here;
  const std::optional<AcmeOrderRow> row = co_await store_.find_acme_order(authority_, id);
  if (LiveOrderPtr here = known(id)) co_return here;  // another request was faster
  if (!row) co_return LiveOrderPtr();
  Result<ServerOrder> order = ServerOrder::from_row(*row);
  if (!order) co_return std::move(order).error();
  co_return shelve(*std::move(order));
}

Task<LiveOrderPtr> ServerOrders::glance(std::string id) {
  if (LiveOrderPtr here = known(id)) co_return here;
  const std::optional<AcmeOrderRow> row = co_await store_.find_acme_order(authority_, id);
  if (!row) co_return LiveOrderPtr();
  Result<ServerOrder> order = ServerOrder::from_row(*row);
  if (!order) co_return std::move(order).error();
  co_return std::make_shared<LiveOrder>(*std::move(order));
}

Task<LiveOrderPtr> ServerOrders::add(ServerOrder order) {
  AcmeOrderRow made = row(order);
  co_await store_.put_acme_order(std::move(made));
  co_return shelve(std::move(order));
}

Task<> ServerOrders::save(LiveOrderPtr order) {
  if (order->forgotten) {
    co_return Error{ErrorCode::kIo, "the ACME order " + order->order.id +
                                        " was not stored before; it is read anew"};
  }
  const auto stored = std::make_shared<Pending<>>();
  saves_.spawn(write(std::move(order), stored));
  Pending<>& waiter = *stored;  // named: g++ 12 would copy `*stored`
  Result<> result = co_await waiter;
  co_return result;
}

// A task of our own: the store writes what it was given also when the request goes away.
Task<> ServerOrders::write(LiveOrderPtr order, std::weak_ptr<Pending<>> waiting) {
  ++order->unsaved;
  AcmeOrderRow made = row(order->order);
  Result<> stored = co_await store_.put_acme_order(std::move(made)).result();
  --order->unsaved;
  if (!stored || order->forgotten) forget(order);
  tell(*order);
  if (const std::shared_ptr<Pending<>> to = waiting.lock()) to->resolve(std::move(stored));
  co_return Unit{};
}

void ServerOrders::forget(const LiveOrderPtr& order) {
  order->forgotten = true;
  if (order->unsaved > 0) return;  // the last of its puts does it
  const std::string& id = order->order.id;
  static_cast<void>(recent_.erase(id));
  const auto found = live_->find(id);
  if (found != live_->end() && found->second.lock() == order) live_->erase(found);
}

Task<std::vector<std::string>> ServerOrders::list(std::string account, std::string after,
                                                  size_t limit) {
  return store_.list_acme_orders(authority_, std::move(account), std::move(after), limit);
}

Task<std::vector<std::string>> ServerOrders::last(std::string account, size_t limit) {
  return store_.last_acme_orders(authority_, std::move(account), limit);
}

Task<> ServerOrders::watch(LiveOrderPtr order, Millis limit) {
  if (order->watching >= kMaxWatchers) co_return Unit{};
  Watcher self(*order);
  order->watchers.push_back(self);
  self.alarm = clock_.after(limit, [&self] {
    self.unlink();
    self.turn.resolve(Unit{});
  });
  static_cast<void>(co_await self.turn);
  co_return Unit{};
}

void ServerOrders::tell(LiveOrder& order) {
  Link told;  // who watches again waits for the next time
  told.take(order.watchers);
  while (!told.alone()) {
    auto& watcher = static_cast<Watcher&>(told.next());
    watcher.unlink();
    watcher.alarm.reset();
    watcher.turn.resolve(Unit{});
  }
}

}  // namespace latchkey::acme
