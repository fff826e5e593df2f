#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "edge/http/http1_session.h"
#include "edge/plain_socket.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

// One connection of a client to a port-80 listener. Owned by the Worker; worker thread.
class PlainConnection final : private HostRules {
 public:
  struct Context {
    uv_loop_t& loop;
    const WorkerShared& shared;
    const SessionContext& http;
    // Buries the connection: out of its callbacks, soon.
    std::function<void(PlainConnection&)> bury;
  };

  // Takes the descriptor.
  PlainConnection(const Context& context, int fd, std::string peer)
      : place_in_(context.shared.connections),
        peer_(std::move(peer)),
        socket_(context.loop, fd),
        context_(context),
        session_(socket_, context.http, {.address = peer_, .rules = this},
                 [this] { context_.bury(*this); }) {}
  PlainConnection(const PlainConnection&) = delete;

  void drain() { session_.drain(); }
  void drain_gently() { session_.drain_gently(); }

 private:
  friend class Worker;

  GrantPtr grant_of(std::string_view host) const override {
    const WorkerShared& shared = context_.shared;
    const auto name = ServerName::parse(host, {.underscore = shared.underscore_names});
    if (!name) return nullptr;
    return look_up(shared, *name, context_.http.clock.wall_now()).grant;
  }

  const ConnectionPlace place_in_;
  const std::string peer_;
  PlainSocket socket_;
  const Context& context_;
  Http1Session session_;
  std::list<PlainConnection>::iterator place_;  // in the worker's list
  bool buried_ = false;
};

}  // namespace latchkey::edge
