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
#include "base/result.h"
#include "edge/plain_socket.h"
#include "edge/upstream/origin_connection.h"

namespace latchkey::edge {

// Host name -> numeric addresses, answered from the loop; what it returns ends the question when
// it is destroyed. main gives Resolver::lookup.
using Addresses = Result<std::vector<std::string>>;
using Resolve =
    std::function<std::shared_ptr<void>(const std::string& host, std::function<void(Addresses)>)>;

struct OriginLimits {
  Millis connect_time{5'000};  // look-up and all addresses together
  Millis idle_time{60'000};    // that a connection rests before it is closed
  size_t max_idle = 64;        // resting connections for each origin
  size_t max_idle_all = 1024;  // ... for all: names may have an upstream each
};

// max_idle_all of one of so many workers: together they rest an eighth of the descriptors that
// clients and upstreams may have, as long as that is 16 for each; 1024 at most.
size_t fair_max_idle(size_t max_descriptors, size_t workers);

// One worker's connections to upstreams: makes new ones, keeps those that rest.
class OriginPool {
 public:
  OriginPool(uv_loop_t& loop, Clock& clock, Resolve resolve, OriginLimits limits = {});
  ~OriginPool();
  OriginPool(const OriginPool&) = delete;

  // The one that rested last, or null.
  std::unique_ptr<OriginConnection> take(const Origin& origin);
  // Keeps it if it is reusable and there is room.
  void give_back(std::unique_ptr<OriginConnection> connection);
  size_t resting() const { return rest_.size(); }

  // A connection being made: the addresses in turn. Destroying it gives up.
  class Connecting;
  using Done = std::function<void(Result<std::unique_ptr<OriginConnection>>)>;
  // `done` comes once, from the loop, and may destroy the Connecting. kTimeout, or as the last
  // address failed; the message names the origin.
  std::unique_ptr<Connecting> connect(const Origin& origin, Done done);

 private:
  struct Resting {
    std::unique_ptr<OriginConnection> connection;
    TimePoint since;
  };
  using Rest = std::list<Resting>;
  using Shelf = std::deque<Rest::iterator>;  // the most recently used last; <= limits_.max_idle

  std::unique_ptr<OriginConnection> remove(const std::string& origin,
                                           const OriginConnection& which);
  void close_oldest();
  void sweep();
  void arm();

  uv_loop_t& loop_;
  Clock& clock_;
  const Resolve resolve_;
  const OriginLimits limits_;
  Rest rest_;  // the most recently used last; <= limits_.max_idle_all
  std::unordered_map<std::string, Shelf> shelves_;  // of rest_, by Origin::text(); none is empty
  Alarm sweep_;
};

class OriginPool::Connecting {
 public:
  Connecting(OriginPool& pool, const Origin& origin, Done done);
  Connecting(const Connecting&) = delete;

 private:
  void on_addresses(Addresses addresses);
  void try_next();
  void on_dial(Result<std::unique_ptr<PlainSocket>> socket);
  void report(Result<std::unique_ptr<OriginConnection>> result);

  OriginPool& pool_;
  const Origin origin_;
  Done done_;
  std::vector<std::string> addresses_;  // <= 32, as the resolver gives them
  size_t next_ = 0;
  Alarm limit_;     // for all of it
  Alarm patience_;  // for one address, if there are others
  std::shared_ptr<void> lookup_;
  std::unique_ptr<Dial> dial_;
};

}  // namespace latchkey::edge
