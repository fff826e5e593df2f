#include "edge/watch.h"

#include <utility>

#include "base/json.h"
#include "edge/steering_json.h"

namespace latchkey::edge {

void Watch::tick(const std::vector<Budget::View>& budget, const std::vector<Traffic>& traffic,
                 TimePoint now) {
  for (const Budget::View& view : budget) {
    if (view.kind == LimitKind::kOrders && view.burst > 0) look_at(view);
  }
  for (const Traffic& one : traffic) look_at(one, now);
}

void Watch::look_at(const Budget::View& orders) {
  if (orders.tokens * 4 > orders.burst) low_.erase(orders.issuer);
  if (orders.tokens * 10 >= orders.burst || !low_.insert(orders.issuer).second) return;
  Event event;
  event.kind = event_kind::kBudgetLow;
  event.issuer = orders.issuer;
  event.text = "of the new orders that " + orders.issuer + " allows, " +
               std::to_string(orders.tokens) + " of " + std::to_string(orders.burst) +
               " are left: new names will have to wait";
  event.details = JsonObject()
                      .number("orders_left", orders.tokens)
                      .number("burst", orders.burst)
                      .number("next_in_seconds", whole_seconds(orders.next_in))
                      .str();
  log_.warning(event.kind, event.text, {{"issuer", event.issuer}});
  events_.tell(std::move(event));
}

void Watch::look_at(const Traffic& traffic, TimePoint now) {
  const auto found = traffic_[traffic.issuer].count(traffic.requests, now);
  if (!found) return;
  Event event;
  event.kind = event_kind::kTrafficUnusual;
  event.issuer = traffic.issuer;
  event.text = std::to_string(found->requests) + " requests to " + traffic.issuer +
               " in ten minutes; the day's mean is " + std::to_string(found->usual);
  event.details = JsonObject()
                      .number("requests", static_cast<int64_t>(found->requests))
                      .number("usual", static_cast<int64_t>(found->usual))
                      .str();
  log_.warning(event.kind, event.text, {{"issuer", event.issuer}});
  events_.tell(std::move(event));
}

}  // namespace latchkey::edge
