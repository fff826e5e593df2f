#include "edge/routes.h"

#include "base/url.h"
#include "edge/http/http1_syntax.h"

namespace latchkey::edge {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

// Fields that frame or route the message: a rule for one of them would break it.
bool is_ours(std::string_view name) {
  for (const char* own : {"host", "content-length", "transfer-encoding", "connection", "upgrade",
                          "te", "trailer", "expect", "keep-alive"}) {
    if (same_text(name, own)) return true;
  }
  return false;
}

Result<> check_rules(const HeaderRules& rules, const std::string& where) {
  for (const auto& [name, value] : rules) {
    if (!is_token(name)) return invalid(where + ": \"" + name + "\" is not a header name");
    if (is_ours(name)) return invalid(where + ": " + name + " cannot be set; the proxy needs it");
    if (!value) continue;
    for (const char c : *value) {
      const auto byte = static_cast<uint8_t>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
        return invalid(where + "." + name + ": control characters cannot be sent in a header");
      }
    }
  }
  return Unit{};
}

}  // namespace

std::string Origin::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Origin> parse_upstream(std::string_view url) {
  const std::string shown = "\"" + url_without_secrets(url) + "\"";
  if (url.starts_with("https://")) {
    return invalid("TLS towards upstreams comes later: expected http://host:port, got " + shown);
  }
  if (!url.starts_with("http://")) return invalid("expected http://host:port, got " + shown);
  std::string_view rest = url.substr(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return invalid("an upstream has no path: expected http://host:port, got " + shown);
  }
  if (!is_authority(rest)) return invalid("expected http://host:port, got " + shown);
  Origin origin;
  size_t colon = rest.rfind(':');
  if (rest.front() == '[') {
    const size_t bracket = rest.find(']');
    if (colon < bracket) colon = std::string_view::npos;
    origin.host = lower(rest.substr(1, bracket - 1));
  } else {
    origin.host = lower(rest.substr(0, colon));
  }
  if (colon != std::string_view::npos) {
    const int port = std::stoi(std::string(rest.substr(colon + 1)));
    if (port == 0) return invalid("port 0 cannot be connected to: " + shown);
    origin.port = static_cast<uint16_t>(port);
  }
  return origin;
}

Result<std::shared_ptr<const RoutingTable>> RoutingTable::make(std::vector<Route> routes) {
  auto table = std::shared_ptr<RoutingTable>(new RoutingTable(std::move(routes)));
  for (size_t i = 0; i < table->routes_.size(); ++i) {
    const Route& route = table->routes_[i];
    const std::string where = "routes[" + std::to_string(i) + "]";
    if (route.hosts.empty()) return invalid(where + ".hosts: expected at least one host");
    if (route.redirect) {
      if (auto ok = check_redirect(*route.redirect); !ok) {
        return std::move(ok).error().in(where + ".redirect");
      }
    } else if (route.upstreams.empty()) {
      return invalid(where + ".upstreams: expected at least one URL");
    }
    for (const std::string& pattern : route.hosts) {
      if (pattern == "*") {
        if (!table->any_) table->any_ = i;
        continue;
      }
      const bool suffix = pattern.starts_with("*.");
      const std::string host = lower(suffix ? std::string_view(pattern).substr(2) : pattern);
      if (!is_authority(host) || (host.front() != '[' && host.find(':') != std::string::npos)) {
        return invalid(where + ".hosts: expected a host, \"*.suffix\" or \"*\", got \"" + pattern +
                       "\"");
      }
      (suffix ? table->suffixes_ : table->exact_).emplace(host, i);
    }
    if (auto ok = check_rules(route.request_headers, where + ".request_headers"); !ok) {
      return std::move(ok).error();
    }
    if (auto ok = check_rules(route.response_headers, where + ".response_headers"); !ok) {
      return std::move(ok).error();
    }
  }
  return std::shared_ptr<const RoutingTable>(std::move(table));
}

const Route* RoutingTable::find(std::string_view host) const {
  if (const auto found = exact_.find(host); found != exact_.end()) return &routes_[found->second];
  for (size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    const auto found = suffixes_.find(host.substr(dot + 1));
    if (found != suffixes_.end()) return &routes_[found->second];
  }
  return any_ ? &routes_[*any_] : nullptr;
}

}  // namespace latchkey::edge
