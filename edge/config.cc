#include "edge/config.h"

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "edge/config_read.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxFile = 16 << 20;  // bytes

std::string host_of(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  url.remove_prefix(scheme + 3);
  return lower(url.substr(0, url.find_first_of(":/?")));
}

// The keys whose values differ; a list counts as one value.
void collect_changes(const JsonValue& before, const JsonValue& after, const std::string& path,
                     std::vector<std::string>& out) {
  constexpr size_t kAll = 1 << 20;
  for (const auto& [key, value] : after.members) {
    const JsonValue* old = before.find(key);
    const std::string here = path.empty() ? key : path + "." + key;
    if (old != nullptr && old->is(JsonValue::Kind::kObject) && value.is(old->kind)) {
      collect_changes(*old, value, here, out);
    } else if (old == nullptr || json_show(*old, kAll) != json_show(value, kAll)) {
      out.push_back(here);
    }
  }
}

}  // namespace

IssuerLimits LimitsConfig::limits() const {
  IssuerLimits out = IssuerLimits::named(table).value_or(IssuerLimits());
  if (!own) return out;
  const auto rate = [](const std::optional<RateConfig>& from) -> std::optional<Rate> {
    if (!from) return std::nullopt;
    return Rate::of(from->burst, from->per);
  };
  out.orders = rate(orders);
  out.renewals = rate(renewals);
  out.domain = rate(registered_domain);
  out.identifiers = rate(identifiers);
  out.name_failures = rate(name_failures);
  return out;
}

LimitsConfig limits_of(const Config::Issuer& issuer) {
  if (issuer.limits) return *issuer.limits;
  if (issuer.authority) return LimitsConfig{.table = "none"};
  const std::string host = host_of(issuer.directory);
  LimitsConfig out;
  out.table = host == "acme-v02.api.letsencrypt.org"           ? "letsencrypt"
              : host == "acme-staging-v02.api.letsencrypt.org" ? "letsencrypt-staging"
                                                               : "none";
  return out;
}

bool all_embedded(const Config& config) {
  return !config.issuers.empty() &&
         std::all_of(config.issuers.begin(), config.issuers.end(),
                     [](const Config::Issuer& issuer) { return issuer.authority.has_value(); });
}

std::optional<RateConfig> default_bound(const Config& config) {
  if (all_embedded(config)) return std::nullopt;
  return Config::OnDemand().per_registered_domain;
}

Result<ServerName> parse_managed(std::string_view text) {
  if (auto address = ServerName::parse_ip(text)) {
    if (!address->text().starts_with("::ffff:")) return address;
    return Error{ErrorCode::kInvalid, "an IPv4 address is written as 203.0.113.7"};
  }
  const ServerNameRules rules{.underscore = true};
  return text.starts_with("*.") ? ServerName::parse_wildcard(text, rules)
                                : ServerName::parse(text, rules);
}

std::vector<ServerName> managed_names(const Config& config) {
  std::vector<ServerName> out;
  std::unordered_set<ServerName> seen;
  out.reserve(config.managed.size());
  for (const std::string& text : config.managed) {
    auto name = parse_managed(text);
    if (name && seen.insert(*name).second) out.push_back(*std::move(name));
  }
  if (config.acme_server) {
    for (const std::string& host : config.acme_server->hosts) {
      auto name = parse_managed(host);
      if (name && seen.insert(*name).second) out.push_back(*std::move(name));
    }
  }
  return out;
}

std::filesystem::path Config::state(const std::string& path) const {
  return file(state_dir) / path;  // an absolute path stays what it is
}
std::filesystem::path Config::file(const std::string& path) const {
  return folder / path;
}

Result<Config> parse_config(std::string_view text, const std::string& file_name) {
  auto json = parse_json(text, JsonDialect::kConfig);
  if (!json) return std::move(json).error().in(file_name);
  Config config;
  ConfigErrors errors(file_name, text);
  {
    Section top(*json, "", errors);
    read_config(top, config);
  }
  if (!errors.empty()) return Error{ErrorCode::kInvalid, errors.messages()};
  const std::string incomplete = check_config(config);
  if (!incomplete.empty()) return Error{ErrorCode::kInvalid, file_name + ": " + incomplete + "\n"};
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  auto text = read_file(file, kMaxFile);
  if (!text) return std::move(text).error().in("reading the configuration");
  auto config = parse_config(*text, file.string());
  if (config) config->folder = std::filesystem::absolute(file).parent_path();
  return config;
}

std::vector<std::string> changed_keys(const Config& before, const Config& after) {
  const auto old_json = parse_json(write_config(before, true));
  const auto new_json = parse_json(write_config(after, true));
  CHECK(old_json && new_json);
  std::vector<std::string> out;
  collect_changes(*old_json, *new_json, "", out);
  return out;
}

std::vector<std::string> keys_for_restart(const Config& before, const Config& after) {
  std::vector<std::string> out = changed_keys(before, after);
  std::erase_if(out, [](const std::string& key) {
    return key == "routes" || key == "groups" || key == "on_demand.allow" ||
           key == "on_demand.allow_files" || key.starts_with("fallback.") ||
           key.starts_with("tls.") || key == "log.level" || key == "certificates" ||
           key == "challenge_upstream" || key == "acme_server.allow" || is_front_key(key) ||
           key == "shutdown_grace" || key == "upgrade_timeout" || key == "upgrade_grace";
  });
  return out;
}

}  // namespace latchkey::edge
