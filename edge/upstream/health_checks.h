#pragma once
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "edge/upstream/balancer.h"
#include "edge/upstream/origin_pool.h"

namespace latchkey::edge {

// Asks the servers of one group again and again whether they are well, and tells its balancer.
// Each question takes a connection of its own. Worker thread.
class HealthChecks {
 public:
  // Both outlive it.
  HealthChecks(Clock& clock, OriginPool& pool, Balancer& balancer);
  ~HealthChecks();
  HealthChecks(const HealthChecks&) = delete;

 private:
  class Check;

  void round();
  // `well`: nullopt, nobody knows.
  void ended(const ServerPtr& server, std::optional<bool> well, const std::string& why);

  Clock& clock_;
  OriginPool& pool_;
  Balancer& balancer_;
  const HealthCheck rule_;
  std::unordered_map<ServerPtr, std::unique_ptr<Check>> under_way_;  // one for each server
  std::unique_ptr<Balancer::Waiting> waiting_;
  Alarm next_;
};

}  // namespace latchkey::edge
