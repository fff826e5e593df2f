#include "edge/upstream/balancer.h"

#include <uv.h>

#include <algorithm>
#include <utility>

#include "edge/upstream/choose.h"

namespace latchkey::edge {
namespace {

constexpr Millis kShortestLife{1'000};  // of a DNS answer, whatever it says
constexpr Millis kLongestLife{3'600'000};
constexpr Millis kUnknownLife{2'000};  // of one that does not say, or says that it has none
constexpr Millis kPatience{1'000};     // with a question, where servers are known
constexpr Millis kAgainAfter{2'000};   // a question that failed
constexpr Millis kStaleFor{30'000};    // an answer that has run out still serves meanwhile
constexpr unsigned kLongestEjection = 30;

bool is_numeric(const std::string& host) {
  sockaddr_in v4;
  sockaddr_in6 v6;
  return uv_ip4_addr(host.c_str(), 0, &v4) == 0 || uv_ip6_addr(host.c_str(), 0, &v6) == 0;
}

std::string shown(const std::string& host, uint16_t port) {
  return Origin{.host = host, .port = port}.text();
}

}  // namespace

Balancer::Balancer(BalancerContext& context, std::shared_ptr<const Group> group)
    : context_(context), group_(std::move(group)) {
  sources_.reserve(group_->origins.size());
  for (size_t i = 0; i < group_->origins.size(); ++i) {
    const Origin& origin = group_->origins[i];
    Source& source = sources_.emplace_back();
    source.origin = &origin;
    source.weight = group_->weights.empty() ? 1 : group_->weights[i];
    source.named = origin.srv || !is_numeric(origin.host);
    if (source.named) continue;
    source.answered = true;
    source.servers.push_back(make_server(source, {origin.host, origin.port, 1, 0, origin.host}));
  }
  gather();
}

Balancer::~Balancer() = default;

bool Balancer::ready() {
  const TimePoint now = context_.clock.now();
  bool known = false;
  bool asking = false;
  for (Source& source : sources_) {
    if (source.named && now >= source.good_until && !source.asking) ask(source);
    const bool stale = source.asking && now >= source.stale_from && now < source.asked + kPatience;
    known = known || (!source.servers.empty() && !stale);
    asking = asking || source.asking;
  }
  return known || !asking;
}

std::unique_ptr<Balancer::Waiting> Balancer::wait(std::function<void()> go) {
  auto waiting = std::make_unique<Waiting>(std::move(go));
  waiting_.push_back(*waiting);
  return waiting;
}

void Balancer::ask(Source& source) {
  source.asking = true;
  source.asked = context_.clock.now();
  source.question = context_.locate(*source.origin, [this, &source](Result<Located> found) {
    on_located(source, std::move(found));
  });
}

void Balancer::on_located(Source& source, Result<Located> found) {
  source.asking = false;
  source.answered = true;
  const TimePoint now = context_.clock.now();
  if (found) {
    const Millis said = found->good_for > Millis(0) ? found->good_for : kUnknownLife;
    const Millis life = std::clamp(said, kShortestLife, kLongestLife);
    source.good_until = now + life;
    source.stale_from = source.good_until + kStaleFor;
    take(source, *found);
  } else {
    // Who was there is likelier to be there than not: DNS being down takes nobody down.
    source.good_until = now + kAgainAfter;
    source.stale_from = source.good_until + kStaleFor;
    trouble_ = found.error().message;
    context_.log.warning("upstream_name_failed", trouble_, {{"upstream", source.origin->url()}});
  }
  // Not from here: who is woken may end us, and the question with its answer on the stack.
  waking_ = context_.clock.after(Millis(0), [this] { wake(); });
}

// Servers that are still there keep what is known of them.
void Balancer::take(Source& source, const Located& found) {
  std::vector<ServerPtr> fresh;
  fresh.reserve(found.places.size());
  for (const Located::Place& place : found.places) {
    const auto same = [&](const ServerPtr& server) {
      return server->endpoint->address == place.address && server->endpoint->port == place.port &&
             server->tier == place.tier && server->endpoint->host == shown(place.host, place.port);
    };
    if (std::any_of(fresh.begin(), fresh.end(), same)) continue;
    const auto known = std::find_if(source.servers.begin(), source.servers.end(), same);
    if (known != source.servers.end()) {
      (*known)->weight = source.weight * place.weight;
      fresh.push_back(*known);
    } else {
      fresh.push_back(make_server(source, place));
      if (!source.servers.empty()) fresh.back()->since = context_.clock.now();
    }
  }
  source.servers = std::move(fresh);
  gather();
}

ServerPtr Balancer::make_server(const Source& source, const Located::Place& place) const {
  const Origin& origin = *source.origin;
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->address = place.address;
  endpoint->port = place.port;
  endpoint->host = shown(place.host, place.port);
  endpoint->http2 = origin.tls ? group_->http2 : origin.http2;
  endpoint->proxy_protocol = group_->proxy_protocol;
  if (origin.tls) {
    endpoint->tls = group_->tls;
    const std::string& own = group_->tls->server_name();
    endpoint->server_name = own.empty() ? place.host : own;
  }
  endpoint->set_key();
  auto server = std::make_shared<Server>();
  server->endpoint = std::move(endpoint);
  server->weight = source.weight * place.weight;
  server->tier = place.tier;
  return server;
}

void Balancer::gather() {
  servers_.clear();
  for (const Source& source : sources_) {
    servers_.insert(servers_.end(), source.servers.begin(), source.servers.end());
  }
}

void Balancer::wake() {
  const Alarm done = std::move(waking_);
  const auto self = shared_from_this();
  if (!ready()) return;
  Link now;
  now.take(waiting_);
  while (!now.alone()) {
    auto& next = static_cast<Waiting&>(now.next());
    next.unlink();
    const auto go = std::move(next.go_);
    go();
  }
}

ServerPtr Balancer::choose(std::string_view client, std::span<const ServerPtr> tried) {
  const ChoiceOf of{.balance = group_->balance,
                    .slow_start = group_->slow_start,
                    .now = context_.clock.now(),
                    .client = client,
                    .random = [this] { return static_cast<uint32_t>(random_() << 1); }};
  return edge::choose(servers_, tried, of);
}

void Balancer::succeeded(Server& server) {
  if (context_.clock.now() < server.ejected_until) return;  // it began before
  server.failures = 0;
  server.ejections = 0;
}

void Balancer::failed(Server& server, const std::string& why) {
  const TimePoint now = context_.clock.now();
  if (!group_->ejection || now < server.ejected_until) return;
  // A connection that breaks takes many requests with it: that is one failure.
  if (server.failed_at == now) return;
  server.failed_at = now;
  const Ejection& rule = *group_->ejection;
  if (++server.failures < rule.failures) return;
  // One that comes back is out again by its first failure.
  server.failures = rule.failures - 1;
  // Never more than half of them: the rest could not bear it, and all at once is not their fault.
  const auto out = std::count_if(servers_.begin(), servers_.end(),
                                 [&](const ServerPtr& s) { return now < s->ejected_until; });
  if (2 * (static_cast<size_t>(out) + 1) > servers_.size()) return;
  server.ejections = std::min(server.ejections + 1, kLongestEjection);
  server.ejected_until = now + rule.time * server.ejections;
  server.since = server.ejected_until;
  context_.log.warning("upstream_ejected", why,
                       {{"upstream", server.endpoint->text()},
                        {"group", group_->name},
                        {"seconds", (rule.time * server.ejections).count() / 1000}});
}

void Balancer::checked(Server& server, bool well, const std::string& why) {
  if (well != server.down) {
    server.contradictions = 0;
    return;
  }
  const unsigned limit = well ? group_->health->rise : group_->health->fall;
  if (++server.contradictions < limit) return;
  server.contradictions = 0;
  change(server, !well, why);
}

void Balancer::change(Server& server, bool down, const std::string& why) {
  server.down = down;
  const std::string upstream = server.endpoint->text();
  if (down) {
    context_.log.warning("upstream_down", why, {{"upstream", upstream}, {"group", group_->name}});
    return;
  }
  server.since = context_.clock.now();
  server.failures = 0;
  context_.log.info("upstream_up", "answers health checks again",
                    {{"upstream", upstream}, {"group", group_->name}});
}

}  // namespace latchkey::edge
