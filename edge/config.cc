#include "edge/config.h"

#include <algorithm>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "edge/listener.h"
#include "policy/allowlist.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

const std::vector<std::string> kLogLevels{"debug", "info", "warning", "error"};
const std::vector<std::string> kLogFormats{"auto", "text", "json"};

constexpr size_t kMaxFile = 16 << 20;  // bytes

bool is_listen_address(std::string_view text) {
  return ListenAddress::parse(std::string(text)).has_value();
}
bool is_url(std::string_view text) {
  const bool http = text.starts_with("http://") || text.starts_with("https://");
  return http && text.find("://") + 3 < text.size() &&
         text.find_first_of(" \t\r\n#") == std::string_view::npos;
}
bool is_allow_entry(std::string_view text) {
  return Allowlist::parse_entry(text).has_value();
}
bool is_challenge(std::string_view text) {
  return text == "tls-alpn-01" || text == "http-01";
}
bool is_not_empty(std::string_view text) {
  return !text.empty();
}
bool is_upstream(std::string_view text) {
  return parse_upstream(text).has_value();
}
bool is_header_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}
bool is_header_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

void read_ask(Section& section, Config::Ask& out) {
  section.text("url", out.url, "an http:// or https:// URL", is_url);
  section.duration("timeout", 10ms, 60s, out.timeout);
  section.duration("negative_ttl", 0ms, 24h, out.negative_ttl);
  section.integer("max_concurrent", 1, 1024, out.max_concurrent);
  section.optional_text("token_file", out.token_file, "a file's path or null", is_not_empty);
  section.boolean("send_reason", out.send_reason);
  if (!section.has("url")) section.complain("url is missing: the endpoint to ask");
}

void read_on_demand(Section section, Config::OnDemand& out) {
  section.texts("allow", out.allow, "a list of names and \"*.suffix\" patterns", is_allow_entry);
  section.texts("allow_files", out.allow_files, "a list of file paths", is_not_empty);
  if (section.has("ask") && !section.is_null("ask")) {
    Section ask = section.section("ask");
    read_ask(ask, out.ask.emplace());
  } else {
    section.is_null("ask");
  }
  section.boolean("underscore", out.underscore);
  section.duration("park_timeout", 1s, 10min, out.park_timeout);
  section.integer("max_parked", 1, 1'000'000, out.max_parked);
  section.integer("max_parked_per_name", 1, 1'000'000, out.max_parked_per_name);
  section.integer("max_orders", 1, 1000, out.max_orders);
}

void read_issuer(Section& section, std::vector<Config::Acme>& out) {
  Config::Acme& issuer = out.emplace_back();
  section.text("name", issuer.name, "a name", is_not_empty);
  if (!section.has("name")) section.complain("name is missing");
  if (!section.has("acme")) section.complain("acme is missing: the only kind of issuer for now");
  Section acme = section.section("acme");
  acme.text("directory", issuer.directory, "an https:// URL", is_url);
  acme.text("email", issuer.email);
  acme.boolean("accept_terms", issuer.accept_terms);
  acme.optional_text("ca_file", issuer.ca_file, "a file's path or null", is_not_empty);
  acme.texts("challenges", issuer.challenges, "a list of \"tls-alpn-01\" and \"http-01\"",
             is_challenge);
  if (issuer.challenges.empty()) acme.complain_at("challenges", "expected at least one challenge");
  if (section.has("acme") && !acme.has("directory")) {
    acme.complain("directory is missing: the URL of the CA's ACME directory");
  }
}

void read_headers(Section& route, const char* key, HeaderRules& out) {
  Section section = route.section(key);
  for (const std::string& name : section.keys()) {
    if (!is_header_name(name)) {
      section.complain_at(name.c_str(), "is no header name");
      continue;
    }
    std::optional<std::string> value;
    section.optional_text(name.c_str(), value, "a header value or null (to remove it)",
                          is_header_value);
    out.emplace_back(name, value);
  }
}

void read_route(Section& section, std::vector<Config::Route>& out) {
  Config::Route& route = out.emplace_back();
  section.texts("hosts", route.hosts, "a list of names, \"*.suffix\" patterns or \"*\"");
  section.texts("upstreams", route.upstreams, "a list of URLs like \"http://127.0.0.1:3000\"",
                is_upstream);
  if (route.upstreams.empty()) section.complain("upstreams: expected at least one URL");
  read_headers(section, "request_headers", route.request_headers);
  read_headers(section, "response_headers", route.response_headers);
}

void read_all(Section& top, Config& out) {
  {
    Section listen = top.section("listen");
    listen.texts("https", out.https, "a list of addresses like \"0.0.0.0:443\"", is_listen_address);
    listen.texts("http", out.http, "a list of addresses like \"0.0.0.0:80\"", is_listen_address);
    if (out.https.empty()) listen.complain_at("https", "expected at least one address");
  }
  top.text("state_dir", out.state_dir, "a folder's path", is_not_empty);
  top.integer("workers", 0, 256, out.workers);
  read_on_demand(top.section("on_demand"), out.on_demand);
  top.sections("issuers", [&](Section& section) { read_issuer(section, out.issuers); });
  {
    Section store = top.section("store");
    store.text("sqlite", out.store_sqlite, "a file's path", is_not_empty);
    store.text("encryption_key_file", out.encryption_key_file, "a file's path", is_not_empty);
  }
  {
    Section cache = top.section("cache");
    cache.integer("max_certificates", 1, 100'000'000, out.cache_max_certificates);
    cache.size("max_bytes", 1 << 20, 1ULL << 40, out.cache_max_bytes);
  }
  top.sections("routes", [&](Section& section) { read_route(section, out.routes); });
  {
    Section upstream = top.section("upstream");
    upstream.duration("connect_timeout", 10ms, 10min, out.upstream_connect_timeout);
    upstream.duration("response_timeout", 10ms, 24h, out.upstream_response_timeout);
  }
  top.duration("shutdown_grace", 0ms, 24h, out.shutdown_grace);
  Section log = top.section("log");
  auto level = static_cast<size_t>(out.log_level);
  log.choice("level", kLogLevels, level);
  out.log_level = static_cast<LogLevel>(level);
  log.choice("format", kLogFormats, out.log_format);
}

std::string list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + json_quote(item);
  return "[" + out + "]";
}
template <typename Items, typename Show>
std::string list(const Items& items, Show show) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + show(item);
  return "[" + out + "]";
}
std::string text_or_null(const std::optional<std::string>& text) {
  return text ? json_quote(*text) : "null";
}

// Without the password and the query, which may be a key of the operator's.
std::string without_secrets(const std::string& url) {
  std::string out = url.substr(0, url.find('?'));
  if (out.size() < url.size()) out += "?...";
  const size_t host = out.find("://") + 3;
  const size_t at = out.find('@', host);
  if (at < out.find('/', host)) out.replace(host, at - host, "...");
  return out;
}

std::string show_ask(const std::optional<Config::Ask>& ask) {
  if (!ask) return "null";
  return JsonObject()
      .text("url", without_secrets(ask->url))
      .text("timeout", show_duration(ask->timeout))
      .text("negative_ttl", show_duration(ask->negative_ttl))
      .number("max_concurrent", ask->max_concurrent)
      .raw("token_file", text_or_null(ask->token_file))
      .boolean("send_reason", ask->send_reason)
      .str();
}

std::string show_issuer(const Config::Acme& issuer) {
  JsonObject acme;
  acme.text("directory", without_secrets(issuer.directory)).text("email", issuer.email);
  acme.boolean("accept_terms", issuer.accept_terms);
  acme.raw("ca_file", text_or_null(issuer.ca_file)).raw("challenges", list(issuer.challenges));
  return JsonObject().text("name", issuer.name).raw("acme", acme.str()).str();
}

std::string show_route(const Config::Route& route) {
  const auto headers = [](const auto& pairs) {
    JsonObject out;
    for (const auto& [name, value] : pairs) out.raw(name, text_or_null(value));
    return out.str();
  };
  return JsonObject()
      .raw("hosts", list(route.hosts))
      .raw("upstreams", list(route.upstreams))
      .raw("request_headers", headers(route.request_headers))
      .raw("response_headers", headers(route.response_headers))
      .str();
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
    read_all(top, config);
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

std::string check_config(const Config& config) {
  const Config::OnDemand& on_demand = config.on_demand;
  if (on_demand.allow.empty() && on_demand.allow_files.empty() && !on_demand.ask) {
    return "on_demand: neither an allowlist (on_demand.allow, on_demand.allow_files) nor "
           "on_demand.ask is set: anybody could make this edge order certificates for any name; "
           "set one of them";
  }
  if (config.issuers.empty()) {
    return "issuers: none is set; add one like {\"name\": \"letsencrypt\", \"acme\": "
           "{\"directory\": \"https://acme-v02.api.letsencrypt.org/directory\", \"email\": "
           "\"you@example.com\", \"accept_terms\": true}}";
  }
  for (size_t i = 0; i < config.issuers.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (config.issuers[i].name == config.issuers[j].name) {
        return "issuers: two are named \"" + config.issuers[i].name + "\"";
      }
    }
  }
  if (config.routes.empty()) {
    return "routes: none is set; add one like {\"hosts\": [\"*\"], \"upstreams\": "
           "[\"http://127.0.0.1:3000\"]}";
  }
  auto routes = make_routes(config);
  return routes ? "" : "routes: " + routes.error().message;
}

Result<std::shared_ptr<const RoutingTable>> make_routes(const Config& config) {
  std::vector<Route> routes;
  for (const Config::Route& from : config.routes) {
    Route& to = routes.emplace_back();
    to.hosts = from.hosts;
    to.request_headers = from.request_headers;
    to.response_headers = from.response_headers;
    for (const std::string& url : from.upstreams) {
      auto origin = parse_upstream(url);
      if (!origin) return origin.error();
      to.upstreams.push_back(*std::move(origin));
    }
  }
  return RoutingTable::make(std::move(routes));
}

std::vector<std::string> keys_for_restart(const Config& before, const Config& after) {
  const auto old_json = parse_json(show_config(before));
  const auto new_json = parse_json(show_config(after));
  CHECK(old_json && new_json);
  std::vector<std::string> out;
  collect_changes(*old_json, *new_json, "", out);
  std::erase_if(out, [](const std::string& key) {
    return key == "routes" || key == "on_demand.allow" || key == "on_demand.allow_files" ||
           key == "log.level";
  });
  return out;
}

std::string show_config(const Config& config) {
  const Config::OnDemand& on_demand = config.on_demand;
  JsonObject out;
  out.raw("listen",
          JsonObject().raw("https", list(config.https)).raw("http", list(config.http)).str());
  out.text("state_dir", config.state_dir).number("workers", config.workers);
  out.raw("on_demand", JsonObject()
                           .raw("allow", list(on_demand.allow))
                           .raw("allow_files", list(on_demand.allow_files))
                           .raw("ask", show_ask(on_demand.ask))
                           .boolean("underscore", on_demand.underscore)
                           .text("park_timeout", show_duration(on_demand.park_timeout))
                           .number("max_parked", on_demand.max_parked)
                           .number("max_parked_per_name", on_demand.max_parked_per_name)
                           .number("max_orders", on_demand.max_orders)
                           .str());
  out.raw("issuers", list(config.issuers, show_issuer));
  out.raw("store", JsonObject()
                       .text("sqlite", config.store_sqlite)
                       .text("encryption_key_file", config.encryption_key_file)
                       .str());
  out.raw("cache", JsonObject()
                       .number("max_certificates", config.cache_max_certificates)
                       .text("max_bytes", std::to_string(config.cache_max_bytes))
                       .str());
  out.raw("routes", list(config.routes, show_route));
  out.raw("upstream", JsonObject()
                          .text("connect_timeout", show_duration(config.upstream_connect_timeout))
                          .text("response_timeout", show_duration(config.upstream_response_timeout))
                          .str());
  out.text("shutdown_grace", show_duration(config.shutdown_grace));
  out.raw("log", JsonObject()
                     .text("level", kLogLevels[static_cast<size_t>(config.log_level)])
                     .text("format", kLogFormats[config.log_format])
                     .str());
  return out.str();
}

}  // namespace latchkey::edge
