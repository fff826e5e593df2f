#pragma once
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "ondemand/budget.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/lane.h"
#include "ondemand/order.h"
#include "ondemand/order_queue.h"

namespace latchkey {

// Gets an order made: by the issuer that the name's grant or the configuration selects, or else by
// the first one that is in order and has budget; on to the next one where an issuer has trouble of
// its own. Those that are embedded() are used where they are selected, the first of them also where
// there are no others. Control thread.
class OrderDesk {
 public:
  // The sources in the order of preference, as the budget's issuers. All outlive us.
  OrderDesk(std::vector<CertificateSource*> sources, Budget& budget, BudgetKeeper& keeper,
            OrderQueue& queue, Clock& clock, Log& log);
  OrderDesk(const OrderDesk&) = delete;

  // The configuration selects that source for the name, unless its grant does.
  void bind(const ServerName& name, std::string issuer) { bound_[name] = std::move(issuer); }
  // Can a wildcard be had where the grant (null: none) is that?
  bool proves_wildcards(const GrantPtr& grant) const;

  // Never fails as a task. `patience`: how long visitors wait for a place. Before the order is made
  // `began` is set; while it is not, nobody was asked for anything. Dropping the task abandons the
  // order. `want` and `began` outlive the task.
  Task<OrderOutcome> order(OrderJob job, Want& want, Millis patience, bool& began);

  // Called when an issuer is found to be out of order, or to work again (`why`: null). May be
  // empty.
  std::function<void(const std::string& issuer, const Error* why)> on_health;

  // Is the issuer known to be out of order?
  bool failing(size_t issuer) const { return issuers_[issuer].breaker.open(); }

 private:
  struct Issuer {
    CertificateSource* source;
    Breaker breaker;
  };

  // One turn's candidates, and what the budget is told of them.
  struct Turn {
    std::vector<size_t> issuers;
    bool renewal = false, resumed = false;
  };

  std::vector<size_t> unselected() const;
  std::vector<size_t> choose(const ServerName& name, const GrantPtr& grant) const;
  std::optional<size_t> find(const std::string& name) const;
  Turn next_turn(const OrderJob& job, const std::vector<size_t>& left, Lane lane) const;
  bool in_order(size_t issuer) const;
  OrderOutcome out_of_order(size_t issuer) const;
  void note(size_t issuer, const OrderOutcome& outcome);

  std::vector<Issuer> issuers_;
  std::unordered_map<ServerName, std::string> bound_;  // <= the configuration's names
  Budget& budget_;
  BudgetKeeper& keeper_;
  OrderQueue& queue_;
  Clock& clock_;
  Log& log_;
};

}  // namespace latchkey
