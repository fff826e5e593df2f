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
#include "edge/upstream/group.h"

namespace latchkey::edge {

// Header fields to set, or (nullopt) to remove.
using HeaderRules = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Route {
  std::vector<std::string> hosts;  // "a.test", "*.a.test" (any depth below), "*"
  // "/login" (exactly that), "/api/*" ("/api" and all below it); none: all.
  std::vector<std::string> paths{};
  std::shared_ptr<const Group> group;  // where to; null with a redirect
  HeaderRules request_headers{};
  HeaderRules response_headers{};
  std::optional<Redirect> redirect{};  // instead of it
};

// Host and path -> route. Immutable: a reload posts a new one to each worker.
class RoutingTable {
 public:
  // `groups`: all that have a name, those of routes among them. The error names the route and what
  // is wrong with it.
  static Result<std::shared_ptr<const RoutingTable>> make(
      std::vector<Route> routes, std::vector<std::shared_ptr<const Group>> groups = {});

  // The most specific host that has a route for the path: an exact one, else the longest suffix,
  // else "*"; of its routes the one with the longest path, an exact one before all below it; the
  // first route that says so. Paths are compared as match_path() has them. Null: none.
  // `host`: lower case, without port. `target`: a request's.
  const Route* find(std::string_view host, std::string_view target) const;
  const std::vector<Route>& routes() const { return routes_; }

  // By its name; null: there is none.
  std::shared_ptr<const Group> group(std::string_view name) const;
  // Those with a name, and those of routes.
  std::vector<std::shared_ptr<const Group>> groups() const;

 private:
  RoutingTable(std::vector<Route> routes, std::vector<std::shared_ptr<const Group>> groups)
      : routes_(std::move(routes)), groups_(std::move(groups)) {}

  struct Rule {
    std::string path;  // "" with `below`: every path
    bool below;
    size_t route;
  };
  using Rules = std::vector<Rule>;  // the most specific first
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Index = std::unordered_map<std::string, Rules, Hash, std::equal_to<>>;

  static void add(Rules& rules, const Route& route, size_t index);
  const Route* match(const Rules& rules, std::string_view path) const;

  const std::vector<Route> routes_;
  const std::vector<std::shared_ptr<const Group>> groups_;
  Index exact_;
  Index suffixes_;  // without "*."
  Rules any_;
  bool by_path_ = false;  // some route asks for a path
};

// A target's path as routes see it, so that no other spelling leads elsewhere: without query,
// percent-encoding undone once, empty and dot segments resolved. "/a/./b//%63" is "/a/b/c".
std::string match_path(std::string_view target);

}  // namespace latchkey::edge
