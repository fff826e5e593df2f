#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "edge/redirect.h"

namespace latchkey::edge {

// Where requests go: a host and port that speaks HTTP/1.1.
struct Origin {
  std::string host;  // a name or a numeric address, without brackets
  uint16_t port = 80;

  std::string text() const;  // "127.0.0.1:3000", "[::1]:3000"
  friend bool operator==(const Origin&, const Origin&) = default;
};

// "http://host[:port][/]".
Result<Origin> parse_upstream(std::string_view url);

// Header fields to set, or (nullopt) to remove.
using HeaderRules = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Route {
  std::vector<std::string> hosts;  // "a.test", "*.a.test" (any depth below), "*"
  std::vector<Origin> upstreams;   // at least one; used in turn
  HeaderRules request_headers;
  HeaderRules response_headers;
  std::optional<Redirect> redirect{};  // instead of upstreams
};

// Host -> route. Immutable: a reload posts a new one to each worker.
class RoutingTable {
 public:
  // The error names the route and what is wrong with it.
  static Result<std::shared_ptr<const RoutingTable>> make(std::vector<Route> routes);

  // An exact host, else the longest suffix, else "*"; the first route that says so. Null: none.
  // `host`: lower case, without port.
  const Route* find(std::string_view host) const;
  size_t index_of(const Route& route) const { return static_cast<size_t>(&route - routes_.data()); }
  const std::vector<Route>& routes() const { return routes_; }

 private:
  explicit RoutingTable(std::vector<Route> routes) : routes_(std::move(routes)) {}

  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Index = std::unordered_map<std::string, size_t, Hash, std::equal_to<>>;

  const std::vector<Route> routes_;
  Index exact_;
  Index suffixes_;  // without "*."
  std::optional<size_t> any_;
};

}  // namespace latchkey::edge
