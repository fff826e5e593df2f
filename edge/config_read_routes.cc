#include <algorithm>
#include <utility>

#include "cache/grant.h"
#include "edge/config_read.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

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
bool is_path(std::string_view text) {
  return text.starts_with('/') && is_header_value(text) && text.find(' ') == std::string_view::npos;
}
bool is_host(std::string_view text) {
  return text.size() <= 253 && is_header_name(text.substr(0, 1)) && is_header_value(text) &&
         text.find_first_of(" /@") == std::string_view::npos;
}
// The ask endpoint may name a group: what has a scheme is an upstream.
bool is_group_name(std::string_view text) {
  return text.size() <= 100 && is_header_name(text) && text != kUnusableUpstream;
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

void read_upstreams(Section& section, std::vector<std::string>& out) {
  section.texts("upstreams", out,
                "a list of URLs like \"http://127.0.0.1:3000\" (or https://, h2c://, "
                "srv+http://)",
                is_upstream);
}

void read_count(Section& section, const char* key, int64_t max, unsigned& out) {
  int64_t count = out;
  section.integer(key, 1, max, count);
  out = static_cast<unsigned>(count);
}

void read_health(Section& section, HealthCheck& out) {
  section.text("path", out.path, "a path like \"/healthz\"", is_path);
  std::optional<std::string> host;
  section.optional_text("host", host, "a host name or null", is_host);
  out.host = host.value_or("");
  section.duration("interval", 100ms, 1h, out.interval);
  section.duration("timeout", 10ms, 10min, out.timeout);
  read_count(section, "fall", 100, out.fall);
  read_count(section, "rise", 100, out.rise);
  int64_t from = out.status_from;
  int64_t to = out.status_to;
  section.integer("status_from", 100, 599, from);
  section.integer("status_to", 100, 599, to);
  if (from > to) section.complain("status_from is greater than status_to: no status would do");
  out.status_from = static_cast<int>(from);
  out.status_to = static_cast<int>(to);
}

void read_ejection(Section& section, Ejection& out) {
  read_count(section, "failures", 1'000'000, out.failures);
  section.duration("time", 10ms, 1h, out.time);
}

void read_tls(Section section, UpstreamTlsConfig& out) {
  section.optional_text("ca_file", out.ca_file, "a file's path or null", is_not_empty);
  section.optional_text("server_name", out.server_name, "a host name or null", is_host);
  std::optional<std::string> certificate, key;
  section.optional_text("cert_file", certificate, "a file's path or null", is_not_empty);
  section.optional_text("key_file", key, "a file's path or null", is_not_empty);
  if (certificate.has_value() != key.has_value()) {
    section.complain("cert_file and key_file go together: set both, or none");
  } else if (certificate) {
    out.certificate = CertificateFiles{*certificate, *key};
  }
}

// One for each upstream, in their order.
void read_weights(Section& section, GroupConfig& out) {
  section.integers("weights", 1, 1000, out.weights);
  if (!out.weights.empty() && out.weights.size() != out.upstreams.size()) {
    section.complain_at("weights", "there are " + std::to_string(out.weights.size()) + " for " +
                                       std::to_string(out.upstreams.size()) +
                                       " upstreams: expected one for each");
  }
}

void read_group(Section& section, std::vector<GroupConfig>& out) {
  GroupConfig group;
  section.text("name", group.name, "a word of letters, digits, \"-\" and \"_\"", is_group_name);
  require(section, "name", "what routes and the ask endpoint call it");
  read_upstreams(section, group.upstreams);
  if (group.upstreams.empty()) section.complain("upstreams: expected at least one URL");
  read_weights(section, group);
  section.choice("balance", kBalanceWords, group.balance);
  read_optional(section, "health", "an object like {\"path\": \"/healthz\"}, or null", group.health,
                read_health);
  read_optional(section, "ejection",
                "an object like {\"failures\": 5, \"time\": \"10s\"}, or null to eject nobody",
                group.ejection, read_ejection);
  section.duration("slow_start", 0ms, 1h, group.slow_start);
  section.integer("retries", 0, 100, group.retries);
  section.boolean("http2", group.http2);
  section.choice("proxy_protocol", kProxyOutWords, group.proxy_protocol);
  read_tls(section.section("tls"), group.tls);
  const bool any_http2 =
      group.http2 || std::any_of(group.upstreams.begin(), group.upstreams.end(),
                                 [](const std::string& url) { return url.starts_with("h2c://"); });
  if (group.proxy_protocol != 0 && any_http2) {
    section.complain(
        "proxy_protocol: a connection of HTTP/2 carries many clients' requests, and the PROXY "
        "protocol names one: take either out");
  }
  for (const GroupConfig& other : out) {
    if (other.name == group.name) section.complain_at("name", "another group has this name");
  }
  out.push_back(std::move(group));
}

void read_route(Section& section, Config& config) {
  Config::Route& route = config.routes.emplace_back();
  section.texts("hosts", route.hosts, "a list of names, \"*.suffix\" patterns or \"*\"");
  section.texts("paths", route.paths, "a list of paths like \"/login\" and \"/api/*\"", is_path);
  section.optional_text("group", route.group, "the name of one of \"groups\", or null");
  read_upstreams(section, route.upstreams);
  read_redirect(section, route.redirect);
  if (route.redirect) {
    const bool both = route.group || !route.upstreams.empty();
    if (both) section.complain("a route has either upstreams or a redirect");
  } else if (route.group && !route.upstreams.empty()) {
    section.complain("group and upstreams say the same thing: set one of them");
  } else if (!route.group && route.upstreams.empty()) {
    section.complain("upstreams: expected at least one URL, or \"group\"");
  } else if (route.group &&
             std::none_of(config.groups.begin(), config.groups.end(),
                          [&](const GroupConfig& group) { return group.name == *route.group; })) {
    section.complain_at("group", "there is no group \"" + *route.group + "\" in \"groups\"");
  }
  read_headers(section, "request_headers", route.request_headers);
  read_headers(section, "response_headers", route.response_headers);
}

}  // namespace

void read_routes(Section& top, Config& out) {
  top.sections("groups", [&](Section& section) { read_group(section, out.groups); });
  top.sections("routes", [&](Section& section) { read_route(section, out); });
  Section upstream = top.section("upstream");
  upstream.duration("connect_timeout", 10ms, 10min, out.upstream_connect_timeout);
  upstream.duration("response_timeout", 10ms, 24h, out.upstream_response_timeout);
  read_resolvers(upstream, out.upstream_resolvers);
}

}  // namespace latchkey::edge
