#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/resolver.h"
#include "edge/client_connection.h"
#include "edge/fallback.h"
#include "edge/front/front.h"
#include "edge/http/http1_session.h"
#include "edge/listener.h"
#include "edge/parking.h"
#include "edge/plain_connection.h"
#include "edge/plain_site.h"
#include "edge/proxy_greetings.h"
#include "edge/proxy_stream.h"
#include "edge/read_ahead.h"
#include "edge/routes.h"
#include "edge/send_gather.h"
#include "edge/socket.h"
#include "edge/upstream/balancers.h"
#include "edge/upstream/origin_pool.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

// One worker: its listeners, its clients' connections, its pools of upstream connections. Made,
// used and destroyed on its own thread.
class Worker {
 public:
  struct Settings {
    std::shared_ptr<const RoutingTable> routes;
    Millis connect_timeout;
    Millis response_timeout;
    std::string resolvers{};                     // as Resolver::Options has them; "": the system's
    std::shared_ptr<const Fallback> fallback{};  // null: there is none
    std::shared_ptr<const TlsContext> tls = std::make_shared<const TlsContext>();
    // Where HTTP-01 requests go that are not for us: make_challenge_route(). Null: nowhere.
    std::shared_ptr<const RoutingTable> challenge_route{};
    std::shared_ptr<const FrontOptions> front{};  // null: the defaults
  };
  struct Sockets {  // listening
    std::vector<Socket> https, http;
  };

  Worker(Loop& loop, const WorkerShared& shared, Settings settings, Sockets sockets);
  ~Worker();
  Worker(const Worker&) = delete;

  // For requests from now on.
  void replace_routes(std::shared_ptr<const RoutingTable> routes);
  void replace_challenge_route(std::shared_ptr<const RoutingTable> route);
  void replace_front(std::shared_ptr<const FrontOptions> options);
  // For handshakes from now on.
  void replace_fallback(std::shared_ptr<const Fallback> fallback);
  void replace_tls(std::shared_ptr<const TlsContext> tls);

  // Accepts no more, for now; listen() ends that. Connections stay.
  void stop_listening() { listeners_.clear(); }
  // On these, too.
  void listen(Sockets sockets);

  // How connections are ended.
  enum class Drain {
    kSoon,   // idle ones at once
    kGently  // all in a way that loses no request that a client may be sending just now
  };
  // Accepts no more, finishes what is being answered, then calls `drained`.
  void drain(Drain how, std::function<void()> drained);
  // There is to be no end, after all: connections that were told of it go, new ones stay.
  void stay() { drained_ = nullptr; }

 private:
  template <typename Connection>
  using List = std::list<Connection>;

  template <typename Connection>
  void bury(List<Connection>& from, List<Connection>& to, Connection& connection);
  void clean_up();
  void take_groups();
  Parking::Letters letters(Slot slot);
  void listen_on(std::vector<Socket>& sockets, std::function<void(int, std::string)> on_connection);
  void take(int fd, std::string peer, std::function<void(int, std::string)> on_connection);
  std::unique_ptr<HttpSession> start_http(Transport& transport, ClientConnection& connection);

  Loop& loop_;
  const WorkerShared& shared_;
  Poller::TurnEnd turn_end_;  // before the gather's: what goes may have bytes in it
  ReadAhead ahead_;
  SendGather gather_;
  ProxyGreetings greetings_;
  Parking parking_;
  Parking rsa_parking_;
  std::shared_ptr<const Fallback> fallback_;
  std::shared_ptr<const TlsContext> tls_;
  Resolver resolver_;
  OriginPool origins_;
  Balancers balancers_;
  ProxyContext proxy_;
  ProxyContext challenge_proxy_;
  PlainSiteContext plain_site_;
  Front front_;
  const SessionContext https_;
  const SessionContext http_;
  const ClientConnection::Context client_context_;
  const PlainConnection::Context plain_context_;
  List<ClientConnection> clients_;
  List<PlainConnection> plain_clients_;
  List<ClientConnection> buried_clients_;  // freed at the turn's end: no callback of theirs runs
  List<PlainConnection> buried_plain_;
  Alarm looks_again_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::function<void()> drained_;  // empty: no drain has begun
  Drain draining_ = Drain::kSoon;
};

}  // namespace latchkey::edge
