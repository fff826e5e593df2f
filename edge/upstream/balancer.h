#pragma once
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/link.h"
#include "base/log.h"
#include "edge/upstream/group.h"
#include "edge/upstream/locate.h"
#include "edge/upstream/server.h"

namespace latchkey::edge {

// What the balancers of one worker share. It outlives them.
struct BalancerContext {
  Clock& clock;
  Log& log;
  Locate locate;
};

// The servers of one group as one worker sees them: where they are (by DNS, asked again when its
// answer has run out), how they are, and whose turn it is. Worker thread.
class Balancer : public std::enable_shared_from_this<Balancer> {
 public:
  Balancer(BalancerContext& context, std::shared_ptr<const Group> group);
  ~Balancer();
  Balancer(const Balancer&) = delete;

  const Group& group() const { return *group_; }

  // Servers are known, or nobody will name any for now. Asks DNS where that is due: no request
  // waits for it but those that come before the first answer, or long after the last.
  bool ready();
  // Until it is ready; then `go` comes once, from the loop. Destroying it forgets that.
  class Waiting : private Link {
   public:
    explicit Waiting(std::function<void()> go) : go_(std::move(go)) {}

   private:
    friend class Balancer;
    std::function<void()> go_;
  };
  std::unique_ptr<Waiting> wait(std::function<void()> go);

  // A server that none of `tried` is, for a client with that address. Null: there is none (left).
  ServerPtr choose(std::string_view client, std::span<const ServerPtr> tried);
  // Why there is no server at all: what DNS said last.
  const std::string& trouble() const { return trouble_; }
  const std::vector<ServerPtr>& servers() const { return servers_; }

  // What came of a request that a server was given.
  void succeeded(Server& server);
  void failed(Server& server, const std::string& why);
  // What a health check came to.
  void checked(Server& server, bool well, const std::string& why);

 private:
  // The servers of one of the group's origins.
  struct Source {
    const Origin* origin;
    unsigned weight;
    bool named;  // by DNS
    std::vector<ServerPtr> servers{};
    bool answered = false;             // since the start
    TimePoint good_until{};            // then it is asked about again
    TimePoint stale_from{};            // then nobody relies on it any more, unless DNS is down
    std::shared_ptr<void> question{};  // the last one; its answer may have come
    bool asking = false;
    TimePoint asked{};
  };

  void ask(Source& source);
  void on_located(Source& source, Result<Located> found);
  void take(Source& source, const Located& found);
  ServerPtr make_server(const Source& source, const Located::Place& place) const;
  void gather();
  void wake();
  void change(Server& server, bool down, const std::string& why);

  BalancerContext& context_;
  const std::shared_ptr<const Group> group_;
  std::vector<Source> sources_;     // never changes its size
  std::vector<ServerPtr> servers_;  // of all sources
  std::string trouble_;
  std::minstd_rand random_{std::random_device()()};
  Link waiting_;
  Alarm waking_;
};

}  // namespace latchkey::edge
