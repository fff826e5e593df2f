#pragma once
#include <uv.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"

namespace latchkey::edge {

// Connections of load balancers that have yet to say who the client is (proxy_header.h). Each may
// take `limit` for it; one that says something else, or nothing, is closed. Worker thread.
class ProxyGreetings {
 public:
  // Takes the descriptor; not a byte behind the header has been read.
  using Then = std::function<void(int fd, std::string client)>;

  // `connections`: those under way count in it.
  ProxyGreetings(uv_loop_t& loop, Clock& clock, Log& log, std::atomic<size_t>& connections,
                 Millis limit);
  ~ProxyGreetings();
  ProxyGreetings(const ProxyGreetings&) = delete;

  // Takes the descriptor. `balancer`: its address, which the client has if the balancer speaks for
  // itself.
  void greet(int fd, std::string balancer, Then then);
  void close_all();
  size_t size() const { return greetings_.size(); }

 private:
  class Greeting;
  using List = std::list<std::unique_ptr<Greeting>>;

  void drop(Greeting& greeting, const std::string& why);

  uv_loop_t& loop_;
  Clock& clock_;
  Log& log_;
  std::atomic<size_t>& connections_;
  const Millis limit_;
  List greetings_;
};

}  // namespace latchkey::edge
