#pragma once
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "edge/upstream/balancer.h"
#include "edge/upstream/health_checks.h"

namespace latchkey::edge {

class OriginPool;

// One worker's balancers: those of the groups of its configuration, and those of upstreams that the
// ask endpoint has named. Worker thread.
class Balancers {
 public:
  Balancers(BalancerContext context, OriginPool& pool);
  Balancers(const Balancers&) = delete;

  // The groups there are from now on. Those that say what an old one said keep what is known of
  // their servers.
  void take(const std::vector<std::shared_ptr<const Group>>& groups);
  std::shared_ptr<Balancer> of(const std::shared_ptr<const Group>& group);
  // Of a single upstream by its URL. The last 4096 of them are kept. Error (kInvalid): it is none.
  Result<std::shared_ptr<Balancer>> granted(const std::string& url);

 private:
  struct Entry {
    std::shared_ptr<Balancer> balancer;
    std::unique_ptr<HealthChecks> checks;  // null: none are wanted
  };
  using Granted = std::list<std::pair<std::string, std::shared_ptr<Balancer>>>;

  Entry make(std::shared_ptr<const Group> group);

  static constexpr size_t kMaxGranted = 4096;

  BalancerContext context_;
  OriginPool& pool_;
  std::unordered_map<std::string, Entry> entries_;  // by Group::identity()
  // By group: the same.
  std::unordered_map<std::shared_ptr<const Group>, std::shared_ptr<Balancer>> by_group_;
  std::shared_ptr<const ClientTls> granted_tls_;  // made when it is needed first: it reads files
  Granted granted_;                               // the most recently used last
  std::unordered_map<std::string, Granted::iterator> granted_by_url_;
};

}  // namespace latchkey::edge
