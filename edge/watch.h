#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "edge/unusual_traffic.h"
#include "ondemand/budget.h"
#include "ondemand/events.h"

namespace latchkey::edge {

// Looks every minute at what nobody else has an eye on, and tells: budget_low, once, when fewer
// than a tenth of an issuer's new orders are left, and not again until a quarter is back;
// acme_traffic_unusual (edge/unusual_traffic.h). Control thread.
class Watch {
 public:
  // Both outlive us.
  Watch(EventSink& events, Log& log) : events_(events), log_(log) {}
  Watch(const Watch&) = delete;

  struct Traffic {
    std::string issuer;
    uint64_t requests = 0;  // to its CA, so far
  };
  // Call it every minute. `budget`: Budget::view(), of which only the accounts' orders are used.
  void tick(const std::vector<Budget::View>& budget, const std::vector<Traffic>& traffic,
            TimePoint now);

 private:
  void look_at(const Budget::View& orders);
  void look_at(const Traffic& traffic, TimePoint now);

  EventSink& events_;
  Log& log_;
  std::set<std::string> low_;                      // issuers, of the configuration
  std::map<std::string, UnusualTraffic> traffic_;  // by issuer
};

}  // namespace latchkey::edge
