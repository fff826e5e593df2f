#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "edge/config.h"
#include "edge/secret_files.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPem = 1 << 20;

Result<ClientTlsOptions> read_files(const Config& config, const UpstreamTlsConfig& from) {
  ClientTlsOptions options;
  options.server_name = from.server_name.value_or("");
  if (from.ca_file) {
    auto ca = read_file(config.file(*from.ca_file), kMaxPem);
    if (!ca) return std::move(ca).error().in("ca_file");
    options.ca = *std::move(ca);
  }
  if (from.certificate) {
    auto chain = read_file(config.file(from.certificate->cert_file), kMaxPem);
    if (!chain) return std::move(chain).error().in("cert_file");
    options.certificate = *std::move(chain);
    auto key = read_file(config.file(from.certificate->key_file), kMaxPem);
    if (!key) return std::move(key).error().in("key_file");
    options.key = *std::move(key);
  }
  return options;
}

// `which`: for the complaint.
std::shared_ptr<const ClientTls> make_tls(const Config& config, const UpstreamTlsConfig& from,
                                          const std::string& which,
                                          std::vector<std::string>& troubles) {
  auto options = read_files(config, from);
  Result<std::shared_ptr<const ClientTls>> made =
      options ? ClientTls::make(*options)
              : Result<std::shared_ptr<const ClientTls>>(options.error());
  if (made) return *std::move(made);
  troubles.push_back(which + ": TLS: " + made.error().message);
  return ClientTls::unusable(made.error().message);
}

Result<> add_origins(Group& group, const std::vector<std::string>& urls) {
  for (const std::string& url : urls) {
    auto origin = parse_upstream(url);
    if (!origin) return std::move(origin).error();
    group.origins.push_back(*std::move(origin));
  }
  return Unit{};
}

bool any_tls(const Group& group) {
  for (const Origin& origin : group.origins) {
    if (origin.tls) return true;
  }
  return false;
}

Result<Group> read_group(const GroupConfig& from) {
  Group group;
  group.name = from.name;
  if (auto ok = add_origins(group, from.upstreams); !ok) return std::move(ok).error();
  for (const int64_t weight : from.weights) group.weights.push_back(static_cast<unsigned>(weight));
  group.balance = static_cast<Balance>(from.balance);
  group.health = from.health;
  group.ejection = from.ejection;
  group.slow_start = from.slow_start;
  group.retries = static_cast<unsigned>(from.retries);
  group.http2 = from.http2;
  group.proxy_protocol = static_cast<ProxyOut>(from.proxy_protocol);
  return group;
}

// `troubles`: null where files are not read.
Result<std::shared_ptr<const RoutingTable>> build(const Config& config,
                                                  std::vector<std::string>* troubles) {
  std::shared_ptr<const ClientTls> plain;  // of all groups without keys of their own
  const auto finish = [&](Group group, const UpstreamTlsConfig& tls) {
    if (troubles != nullptr && any_tls(group)) {
      const bool own = tls.ca_file || tls.server_name || tls.certificate;
      group.tls = own ? nullptr : plain;
      if (group.tls == nullptr) {
        const std::string which = group.name.empty() ? "routes" : "groups: " + group.name;
        group.tls = make_tls(config, tls, which, *troubles);
      }
      if (!own) plain = group.tls;
    }
    return std::make_shared<const Group>(std::move(group));
  };
  std::vector<std::shared_ptr<const Group>> groups;
  for (const GroupConfig& from : config.groups) {
    auto group = read_group(from);
    if (!group) return std::move(group).error().in(from.name).in("groups");
    groups.push_back(finish(*std::move(group), from.tls));
  }
  std::vector<Route> routes;
  for (const Config::Route& from : config.routes) {
    Route& to = routes.emplace_back();
    to.hosts = from.hosts;
    to.paths = from.paths;
    to.request_headers = from.request_headers;
    to.response_headers = from.response_headers;
    to.redirect = from.redirect;
    if (from.redirect) continue;
    if (from.group) {
      for (const auto& group : groups) {
        if (group->name == *from.group) to.group = group;
      }
    } else {
      Group own;
      if (auto ok = add_origins(own, from.upstreams); !ok) return std::move(ok).error();
      to.group = finish(std::move(own), {});
    }
    if (to.group == nullptr) {
      return Error{ErrorCode::kInvalid, "there is no group \"" + from.group.value_or("") + "\""};
    }
  }
  return RoutingTable::make(std::move(routes), std::move(groups));
}

}  // namespace

Result<> check_routes(const Config& config) {
  auto table = build(config, nullptr);
  if (!table) return std::move(table).error();
  return Unit{};
}

std::shared_ptr<const RoutingTable> make_routes(const Config& config,
                                                std::vector<std::string>& troubles) {
  auto table = build(config, &troubles);
  CHECK(table);
  return *std::move(table);
}

Result<std::shared_ptr<const RoutingTable>> make_challenge_route(const Config& config) {
  if (!config.challenge_upstream) return std::shared_ptr<const RoutingTable>();
  auto group = std::make_shared<Group>();
  if (auto ok = add_origins(*group, {*config.challenge_upstream}); !ok) {
    return std::move(ok).error().in("challenge_upstream");
  }
  if (any_tls(*group)) {
    auto tls = ClientTls::make({});
    if (!tls) return std::move(tls).error().in("challenge_upstream");
    group->tls = *std::move(tls);
  }
  Route route;
  route.hosts = {"*"};
  route.group = std::move(group);
  std::vector<Route> routes;
  routes.push_back(std::move(route));
  return RoutingTable::make(std::move(routes));
}

}  // namespace latchkey::edge
