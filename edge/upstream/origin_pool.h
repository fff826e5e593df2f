#pragma once
#include <uv.h>

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/link.h"
#include "base/result.h"
#include "edge/upstream/connector.h"
#include "edge/upstream/http2_origin.h"
#include "edge/upstream/origin_connection.h"

namespace latchkey::edge {

struct OriginLimits {
  Millis idle_time{60'000};    // that a connection rests before it is closed
  size_t max_idle = 64;        // resting connections for each endpoint
  size_t max_idle_all = 1024;  // ... for all: names may have an upstream each
};

// max_idle_all of one of so many workers: together they rest an eighth of the descriptors that
// clients and upstreams may have, as long as that is 16 for each; 1024 at most.
size_t fair_max_idle(size_t max_descriptors, size_t workers);

// One worker's connections to upstreams: makes new ones, keeps those that rest, and shares those
// that speak HTTP/2.
class OriginPool {
 public:
  OriginPool(uv_loop_t& loop, Clock& clock, OriginLimits limits = {});
  ~OriginPool();
  OriginPool(const OriginPool&) = delete;

  // A place on a connection that is there: the one that rested last, or a stream of a shared one.
  // `surely`: not on one that its upstream may be closing just now, as far as that can be seen.
  // Null: none.
  std::unique_ptr<OriginStream> take(const Endpoint& endpoint, bool surely);
  // Keeps it if it is reusable and there is room.
  void give_back(std::unique_ptr<OriginStream> stream);
  size_t resting() const { return rest_.size(); }

  // A connection being made, or one that somebody else has begun to make and that can be shared.
  // Destroying it gives up.
  class Connecting;
  using Done = std::function<void(Result<std::unique_ptr<OriginStream>>)>;
  // `done` comes once, from the loop, and may destroy the Connecting. Errors: see Connector.
  std::unique_ptr<Connecting> connect(EndpointPtr endpoint, std::string greeting, Millis limit,
                                      Done done);

 private:
  struct Resting {
    std::unique_ptr<OriginConnection> connection;
    TimePoint since;
  };
  using Rest = std::list<Resting>;
  using Shelf = std::deque<Rest::iterator>;  // the most recently used last; <= limits_.max_idle

  // Connections to one endpoint that offers HTTP/2.
  struct Shared {
    std::vector<std::shared_ptr<Http2Origin>> connections;
    std::unique_ptr<Connector> connector;  // the one that is being made
    Link waiting;                          // Connecting: for it

    bool empty() const { return connections.empty() && connector == nullptr && waiting.alone(); }
  };

  std::unique_ptr<OriginConnection> remove(const std::string& key, const OriginConnection& which);
  void close_oldest();
  void sweep();
  void arm();
  void share(Connecting& waiting);
  std::shared_ptr<Http2Origin> adopt(std::unique_ptr<Transport> transport,
                                     const EndpointPtr& endpoint);
  void on_shared(const EndpointPtr& endpoint, Result<Connector::Connected> result);
  void retire(const std::string& key, const Http2Origin& which);

  uv_loop_t& loop_;
  Clock& clock_;
  const OriginLimits limits_;
  Rest rest_;  // the most recently used last; <= limits_.max_idle_all
  std::unordered_map<std::string, Shelf> shelves_;  // of rest_, by Endpoint::key
  std::unordered_map<std::string, Shared> shared_;  // by Endpoint::key; none is empty
  Alarm sweep_;
};

class OriginPool::Connecting : private Link {
 public:
  Connecting(OriginPool& pool, EndpointPtr endpoint, std::string greeting, Millis limit, Done done);
  Connecting(const Connecting&) = delete;

 private:
  friend class OriginPool;

  void give_up();
  void start_alone();
  void on_connected(Result<Connector::Connected> result);
  void report(Result<std::unique_ptr<OriginStream>> result);

  OriginPool& pool_;
  const EndpointPtr endpoint_;
  const std::string greeting_;
  const Millis limit_;
  Done done_;
  std::unique_ptr<Connector> connector_;  // null: it waits for a shared one
  Alarm patience_;                        // with that
};

}  // namespace latchkey::edge
