#include "edge/upstream/balancers.h"

namespace latchkey::edge {

Balancers::Balancers(BalancerContext context, OriginPool& pool)
    : context_(std::move(context)), pool_(pool) {}

Balancers::Entry Balancers::make(std::shared_ptr<const Group> group) {
  Entry entry;
  const bool checked = group->health.has_value();
  entry.balancer = std::make_shared<Balancer>(context_, std::move(group));
  if (checked) {
    entry.checks = std::make_unique<HealthChecks>(context_.clock, pool_, *entry.balancer);
  }
  return entry;
}

void Balancers::take(const std::vector<std::shared_ptr<const Group>>& groups) {
  auto before = std::exchange(entries_, {});
  by_group_.clear();
  for (const auto& group : groups) {
    const std::string identity = group->identity();
    if (const auto known = before.find(identity); known != before.end()) {
      entries_.insert(before.extract(known));
    }
    of(group);
  }
}

std::shared_ptr<Balancer> Balancers::of(const std::shared_ptr<const Group>& group) {
  std::shared_ptr<Balancer>& balancer = by_group_[group];
  if (balancer != nullptr) return balancer;
  Entry& entry = entries_[group->identity()];
  if (entry.balancer == nullptr) entry = make(group);
  return balancer = entry.balancer;
}

Result<std::shared_ptr<Balancer>> Balancers::granted(const std::string& url) {
  if (const auto known = granted_by_url_.find(url); known != granted_by_url_.end()) {
    granted_.splice(granted_.end(), granted_, known->second);
    return granted_.back().second;
  }
  auto origin = parse_upstream(url);
  if (!origin) return std::move(origin).error();
  auto group = std::make_shared<Group>();
  group->origins.push_back(*std::move(origin));
  if (group->origins.front().tls) {
    if (granted_tls_ == nullptr) {
      auto tls = ClientTls::make({});
      granted_tls_ = tls ? *std::move(tls) : ClientTls::unusable(tls.error().message);
    }
    group->tls = granted_tls_;
  }
  granted_.emplace_back(url, make(std::move(group)).balancer);
  granted_by_url_[url] = std::prev(granted_.end());
  if (granted_.size() > kMaxGranted) {
    granted_by_url_.erase(granted_.front().first);
    granted_.pop_front();
  }
  return granted_.back().second;
}

}  // namespace latchkey::edge
