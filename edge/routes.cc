#include "edge/routes.h"

#include <algorithm>

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

// "" where it is fit for a route.
std::string fault_of(const std::string& path) {
  const bool below = path.ends_with("/*");
  const std::string_view plain = std::string_view(path).substr(0, path.size() - (below ? 2 : 0));
  if (path.starts_with('/') && plain.find_first_of("*?#") == std::string_view::npos) {
    const std::string normal = plain.empty() ? "" : match_path(plain);
    if (normal == plain) return "";
    return "it is matched as \"" + normal + (below ? "/*" : "") + "\": write that";
  }
  return "expected a path like \"/login\" or \"/api/*\"";
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

}  // namespace

std::string match_path(std::string_view target) {
  const std::string_view raw = target.substr(0, target.find_first_of("?#"));
  std::string path;
  path.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    const int high = raw[i] == '%' && i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(raw[i + 2]) : -1;
    if (low >= 0) i += 2;
    path += low >= 0 ? static_cast<char>(high << 4 | low) : raw[i];
  }
  if (!path.starts_with('/')) return path;  // "*"
  std::string out;
  out.reserve(path.size());
  std::string_view rest = path;
  bool directory = false;  // ends in a slash
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    rest.remove_prefix(end);
    directory = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") out.resize(std::min(out.rfind('/'), out.size()));
    if (!directory) out.append("/").append(segment);
  }
  if (directory || out.empty()) out += '/';
  return out;
}

Result<std::shared_ptr<const RoutingTable>> RoutingTable::make(
    std::vector<Route> routes, std::vector<std::shared_ptr<const Group>> groups) {
  auto table =
      std::shared_ptr<RoutingTable>(new RoutingTable(std::move(routes), std::move(groups)));
  for (size_t i = 0; i < table->routes_.size(); ++i) {
    const Route& route = table->routes_[i];
    const std::string where = "routes[" + std::to_string(i) + "]";
    if (route.hosts.empty()) return invalid(where + ".hosts: expected at least one host");
    if (route.redirect) {
      if (auto ok = check_redirect(*route.redirect); !ok) {
        return std::move(ok).error().in(where + ".redirect");
      }
    }
    for (const std::string& path : route.paths) {
      if (const std::string fault = fault_of(path); !fault.empty()) {
        return invalid(where + ".paths: \"" + path + "\": " + fault);
      }
      table->by_path_ = true;
    }
    for (const std::string& pattern : route.hosts) {
      if (pattern == "*") {
        add(table->any_, route, i);
        continue;
      }
      const bool suffix = pattern.starts_with("*.");
      const std::string host = lower(suffix ? std::string_view(pattern).substr(2) : pattern);
      if (!is_authority(host) || (host.front() != '[' && host.find(':') != std::string::npos)) {
        return invalid(where + ".hosts: expected a host, \"*.suffix\" or \"*\", got \"" + pattern +
                       "\"");
      }
      add((suffix ? table->suffixes_ : table->exact_)[host], route, i);
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

void RoutingTable::add(Rules& rules, const Route& route, size_t index) {
  const auto put = [&](std::string path, bool below) {
    // The longest first; of two alike the exact one, then the one that came first.
    const auto before = [&](const Rule& there) {
      if (there.path.size() != path.size()) return there.path.size() > path.size();
      return !there.below || below;
    };
    const auto at = std::find_if_not(rules.begin(), rules.end(), before);
    rules.insert(at, Rule{std::move(path), below, index});
  };
  if (route.paths.empty()) put("", true);
  for (const std::string& path : route.paths) {
    const bool below = path.ends_with("/*");
    put(path.substr(0, path.size() - (below ? 2 : 0)), below);
  }
}

const Route* RoutingTable::match(const Rules& rules, std::string_view path) const {
  for (const Rule& rule : rules) {
    const bool begins = path.starts_with(rule.path);
    const bool ends = begins && path.size() == rule.path.size();
    const bool goes_on = begins && !ends && path[rule.path.size()] == '/';
    if (ends || (rule.below && (goes_on || rule.path.empty()))) return &routes_[rule.route];
  }
  return nullptr;
}

const Route* RoutingTable::find(std::string_view host, std::string_view target) const {
  const std::string path = by_path_ ? match_path(target) : std::string();
  const auto matched = [&](const Rules& rules) {
    return by_path_ || rules.empty() ? match(rules, path) : &routes_[rules.front().route];
  };
  if (const auto found = exact_.find(host); found != exact_.end()) {
    if (const Route* route = matched(found->second)) return route;
  }
  for (size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    const auto found = suffixes_.find(host.substr(dot + 1));
    if (found == suffixes_.end()) continue;
    if (const Route* route = matched(found->second)) return route;
  }
  return matched(any_);
}

std::shared_ptr<const Group> RoutingTable::group(std::string_view name) const {
  const auto found = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const auto& group) { return group->name == name; });
  return found == groups_.end() ? nullptr : *found;
}

std::vector<std::shared_ptr<const Group>> RoutingTable::groups() const {
  auto all = groups_;
  for (const Route& route : routes_) {
    const bool known = std::find(all.begin(), all.end(), route.group) != all.end();
    if (route.group != nullptr && !known) all.push_back(route.group);
  }
  return all;
}

}  // namespace latchkey::edge
