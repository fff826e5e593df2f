#include "edge/upstream/choose.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/sip_hash.h"

namespace latchkey::edge {
namespace {

struct Candidate {
  const ServerPtr* server;
  double weight;
};

constexpr double kColdest = 0.1;  // of the weight, for who has just come

// IPv4: the address; IPv6: its network, as clients change the rest at will.
std::string client_key(std::string_view address) {
  if (address.find(':') == std::string_view::npos) return std::string(address);
  size_t end = 0;
  for (int groups = 0; groups < 4 && end != std::string_view::npos; ++groups) {
    end = address.find(':', end == 0 ? 0 : end + 1);
    // "::" stands for zeros from here on: what is before it is the network's.
    if (end != std::string_view::npos && address.substr(end).starts_with("::")) break;
  }
  return std::string(address.substr(0, end));
}

double load(const Candidate& candidate) {
  return (static_cast<double>((*candidate.server)->active) + 1) / candidate.weight;
}

// Smooth: servers with weights 3 and 1 take turns as a a b a.
const Candidate& by_turns(std::span<const Candidate> from) {
  double total = 0;
  const Candidate* best = nullptr;
  for (const Candidate& candidate : from) {
    Server& server = **candidate.server;
    server.credit += candidate.weight;
    total += candidate.weight;
    if (best == nullptr || server.credit > (*best->server)->credit) best = &candidate;
  }
  (*best->server)->credit -= total;
  return *best;
}

const Candidate& by_chance(std::span<const Candidate> from, const ChoiceOf& of) {
  double total = 0;
  for (const Candidate& candidate : from) total += candidate.weight;
  double at = total * of.random() / 4294967296.0;
  for (const Candidate& candidate : from) {
    at -= candidate.weight;
    if (at < 0) return candidate;
  }
  return from.back();
}

// Rendezvous hashing: when a server goes only its clients move.
const Candidate& by_client(std::span<const Candidate> from, const ChoiceOf& of) {
  // The same for every worker and after a restart.
  static constexpr SipHash::Key kKey{0x6c61746368006b65, 0x79206970206861};
  const std::string client = client_key(of.client);
  const Candidate* best = nullptr;
  double best_score = 0;
  for (const Candidate& candidate : from) {
    const Endpoint& endpoint = *(*candidate.server)->endpoint;
    const std::string text = client + '|' + endpoint.address + '|' + std::to_string(endpoint.port);
    const uint64_t hash = SipHash(kKey)(text);
    const double uniform = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
    const double score = candidate.weight / -std::log(uniform);
    if (best == nullptr || score > best_score) {
      best = &candidate;
      best_score = score;
    }
  }
  return *best;
}

// Those that have the least to do; among them by turns.
const Candidate& by_load(std::span<const Candidate> from) {
  double least = load(from.front());
  for (const Candidate& candidate : from) least = std::min(least, load(candidate));
  std::vector<Candidate> idlest;
  idlest.reserve(from.size());
  for (const Candidate& candidate : from) {
    if (load(candidate) <= least) idlest.push_back(candidate);
  }
  const ServerPtr* const server = by_turns(idlest).server;
  return *std::find_if(from.begin(), from.end(),
                       [&](const Candidate& c) { return c.server == server; });
}

const Candidate& by_rule(std::span<const Candidate> from, const ChoiceOf& of) {
  switch (of.balance) {
    case Balance::kRoundRobin:
      break;
    case Balance::kLeastConn:
      return by_load(from);
    case Balance::kIpHash:
      return by_client(from, of);
    case Balance::kRandomTwo: {
      const Candidate& one = by_chance(from, of);
      const Candidate& other = by_chance(from, of);
      return load(other) < load(one) ? other : one;
    }
  }
  return by_turns(from);
}

}  // namespace

double warm_weight(const Server& server, Millis slow_start, TimePoint now) {
  double part = 1;
  if (server.since && slow_start > Millis(0)) {
    const auto age = std::chrono::duration_cast<Millis>(now - *server.since);
    part = static_cast<double>(age.count()) / static_cast<double>(slow_start.count());
  }
  return server.weight * std::clamp(part, kColdest, 1.0);
}

ServerPtr choose(std::span<const ServerPtr> servers, std::span<const ServerPtr> tried,
                 const ChoiceOf& of) {
  const auto untried = [&](const ServerPtr& server) {
    return tried.empty() || std::find(tried.begin(), tried.end(), server) == tried.end();
  };
  if (servers.size() == 1) return untried(servers.front()) ? servers.front() : nullptr;
  bool any = false;
  bool any_well = false;
  unsigned tier = 0;
  for (const ServerPtr& server : servers) {
    if (!untried(server)) continue;
    const bool well = server->well(of.now);
    if (any && well == any_well ? server->tier >= tier : any && !well) continue;
    any = true;
    any_well = well;
    tier = server->tier;
  }
  if (!any) return nullptr;
  std::vector<Candidate> candidates;
  candidates.reserve(servers.size());
  for (const ServerPtr& server : servers) {
    if (server->tier != tier || !untried(server)) continue;
    if (any_well && !server->well(of.now)) continue;
    candidates.push_back({&server, warm_weight(*server, of.slow_start, of.now)});
  }
  return *(candidates.size() == 1 ? candidates.front() : by_rule(candidates, of)).server;
}

}  // namespace latchkey::edge
