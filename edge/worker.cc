#include "edge/worker.h"

#include <algorithm>

#include "edge/http/http2_session.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr Millis kGreetingsLook{250};

}  // namespace

Worker::Worker(Loop& loop, const WorkerShared& shared, Settings settings, Sockets sockets)
    : loop_(loop),
      shared_(shared),
      turn_end_(loop.uv(),
                [this] {
                  while (!buried_clients_.empty() || !buried_plain_.empty()) clean_up();
                }),
      gather_(loop.uv()),
      greetings_(loop.uv(), loop.clock(), shared.log, shared.connections, shared.hello_timeout),
      parking_(shared.parking, loop.clock(), letters(Slot::kMain)),
      rsa_parking_(shared.parking, loop.clock(), letters(Slot::kRsa), Parking::kRsaAtOnce),
      fallback_(std::move(settings.fallback)),
      tls_(std::move(settings.tls)),
      resolver_(loop.uv(), {.servers = std::move(settings.resolvers)}),
      origins_(loop.uv(), loop.clock(),
               {.max_idle_all = fair_max_idle(shared.max_descriptors, shared.workers)}),
      balancers_({loop.clock(), shared.log, locate_by(resolver_)}, origins_),
      proxy_{.clock = loop.clock(),
             .log = shared.log,
             .pool = origins_,
             .balancers = balancers_,
             .routes = std::move(settings.routes),
             .limits = {.connect_time = settings.connect_timeout,
                        .response_time = settings.response_timeout}},
      challenge_proxy_{.clock = loop.clock(),
                       .log = shared.log,
                       .pool = origins_,
                       .balancers = balancers_,
                       .routes = std::move(settings.challenge_route),
                       .limits = {.connect_time = settings.connect_timeout,
                                  .response_time = settings.response_timeout},
                       .obey_grants = false},
      plain_site_{
          .challenges = shared.challenges,
          .may_be_served =
              [this](const ServerName& name, std::function<void(NameState)> answer) {
                // Strangers may name any address: control hears only of those that have a
                // certificate, for nobody is asked about the others.
                if (name.is_ip() && shared_.cache.find(name) == nullptr) {
                  return answer(NameState::kUnknown);
                }
                shared_.may_be_served(name, loop_.address(), std::move(answer));
              },
          .proxy = [this](RequestHead head, ResponseStream& stream) -> std::unique_ptr<Exchange> {
            if (tls_->clients() != nullptr && tls_->clients()->asks(head.host())) {
              return std::make_unique<StatusPage>(
                  stream, 403, "This site is for clients with a certificate, by HTTPS only.");
            }
            return std::make_unique<ProxyStream>(proxy_, std::move(head), stream);
          },
          .other_challenges = nullptr,
          .authority = shared.acme,
          .about_revocation = [this](RequestHead head,
                                     ResponseStream& stream) -> std::unique_ptr<Exchange> {
            return std::make_unique<AcmeExchange>(shared_.acme, loop_.address(), std::move(head),
                                                  stream);
          },
          .https_port = static_cast<uint16_t>(shared.https_port),
          .rules = {.underscore = shared.underscore_names}},
      front_(loop.clock(), *shared.front_counts, std::move(settings.front)),
      https_{loop.clock(),
             front_.before(
                 [this](RequestHead head, ResponseStream& stream) -> std::unique_ptr<Exchange> {
                   if (stream.client().notice != nullptr) {
                     return std::make_unique<NoticePage>(stream);
                   }
                   if (shared_.acme != nullptr && shared_.acme->is_host(head.host())) {
                     return std::make_unique<AcmeExchange>(shared_.acme, loop_.address(),
                                                           std::move(head), stream);
                   }
                   return std::make_unique<ProxyStream>(proxy_, std::move(head), stream);
                 }),
             {},
             shared.protections},
      http_{loop.clock(),
            front_.before(
                [this](RequestHead head, ResponseStream& stream) -> std::unique_ptr<Exchange> {
                  return std::make_unique<PlainSite>(plain_site_, std::move(head), stream);
                }),
            {},
            shared.protections},
      client_context_{loop.uv(),
                      loop.clock(),
                      shared,
                      tls_,
                      parking_,
                      rsa_parking_,
                      fallback_,
                      ahead_,
                      gather_,
                      [this](Transport& transport, ClientConnection& connection) {
                        return start_http(transport, connection);
                      },
                      [this](ClientConnection& c) { bury(clients_, buried_clients_, c); }},
      plain_context_{loop.uv(), shared, http_,
                     [this](PlainConnection& c) { bury(plain_clients_, buried_plain_, c); }} {
  replace_challenge_route(challenge_proxy_.routes);
  listen(std::move(sockets));
}

Worker::~Worker() = default;

Parking::Letters Worker::letters(Slot slot) {
  Parking::Letters out;
  out.want = [this, slot](const ServerName& name) {
    Parking& parking = slot == Slot::kRsa ? rsa_parking_ : parking_;
    shared_.want_certificate(
        name, slot, loop_.address(),
        [&parking, name](const Result<CertificatePtr>& outcome) { parking.resume(name, outcome); });
  };
  out.left = [this, slot](const ServerName& name) {
    shared_.visitors_left(name, slot, loop_.address());
  };
  out.back = [this, slot](const ServerName& name) {
    shared_.visitors_back(name, slot, loop_.address());
  };
  return out;
}

void Worker::listen(Sockets sockets) {
  listen_on(sockets.https, [this](int fd, std::string peer) {
    clients_.emplace_front(client_context_, fd, std::move(peer));
    clients_.front().place_ = clients_.begin();
  });
  listen_on(sockets.http, [this](int fd, std::string peer) {
    plain_clients_.emplace_front(plain_context_, fd, std::move(peer));
    plain_clients_.front().place_ = plain_clients_.begin();
  });
}

void Worker::listen_on(std::vector<Socket>& sockets,
                       std::function<void(int, std::string)> on_connection) {
  const auto room = [this] {
    // A connection may come to two descriptors: its own and its upstream's. One that is parked has
    // only its own.
    const size_t connections = shared_.connections.load(std::memory_order_relaxed);
    const size_t parked = std::min(shared_.parking.parked(), connections);
    return 2 * connections - parked < shared_.max_descriptors;
  };
  for (Socket& socket : sockets) {
    const auto arrived = [this, on_connection](int fd, std::string peer) {
      take(fd, std::move(peer), on_connection);
    };
    listeners_.push_back(std::make_unique<Listener>(loop_.uv(), loop_.clock(), shared_.log,
                                                    socket.release(),
                                                    Listener::Callbacks{room, arrived}));
  }
}

// A balancer's connection says first whose it is.
void Worker::take(int fd, std::string peer, std::function<void(int, std::string)> on_connection) {
  if (!shared_.proxy_protocol_from.contains(peer)) return on_connection(fd, std::move(peer));
  greetings_.greet(fd, std::move(peer), std::move(on_connection));
}

std::unique_ptr<HttpSession> Worker::start_http(Transport& transport,
                                                ClientConnection& connection) {
  ClientInfo client;
  client.address = connection.peer();
  client.secure = true;
  client.rules = &connection;
  client.notice = connection.notice();
  client.tls_version = connection.tls_version();
  // A page of ours is said once: at its next try the client may get the real certificate.
  const bool once = client.notice != nullptr;
  const auto close = [&connection] { connection.close(); };
  std::unique_ptr<HttpSession> session;
  if (connection.speaks_http2()) {
    session = std::make_unique<Http2Session>(transport, https_, client, close);
  } else {
    session = std::make_unique<Http1Session>(transport, https_, client, close);
  }
  // The second: its handshake was under way when the drain began.
  if (once || (drained_ != nullptr && draining_ == Drain::kSoon)) {
    session->drain_after_next();
  } else if (drained_ != nullptr) {
    session->drain_gently();
  }
  return session;
}

void Worker::replace_routes(std::shared_ptr<const RoutingTable> routes) {
  proxy_.routes = std::move(routes);
  take_groups();
}

void Worker::take_groups() {
  auto groups = proxy_.routes->groups();
  if (challenge_proxy_.routes != nullptr) {
    for (const auto& group : challenge_proxy_.routes->groups()) groups.push_back(group);
  }
  balancers_.take(groups);
}

void Worker::replace_challenge_route(std::shared_ptr<const RoutingTable> route) {
  challenge_proxy_.routes = std::move(route);
  take_groups();
  plain_site_.other_challenges = nullptr;
  if (challenge_proxy_.routes == nullptr) return;
  plain_site_.other_challenges = [this](RequestHead head,
                                        ResponseStream& stream) -> std::unique_ptr<Exchange> {
    return std::make_unique<ProxyStream>(challenge_proxy_, std::move(head), stream);
  };
}

void Worker::replace_front(std::shared_ptr<const FrontOptions> options) {
  front_.replace(std::move(options));
}

void Worker::replace_fallback(std::shared_ptr<const Fallback> fallback) {
  fallback_ = std::move(fallback);
}

void Worker::replace_tls(std::shared_ptr<const TlsContext> tls) {
  tls_ = std::move(tls);
}

template <typename Connection>
void Worker::bury(List<Connection>& from, List<Connection>& to, Connection& connection) {
  if (connection.buried_) return;
  connection.buried_ = true;
  to.splice(to.begin(), from, connection.place_);  // until the end of this turn
}

void Worker::clean_up() {
  // Their destructors may bury others: those are next.
  List<ClientConnection> clients = std::move(buried_clients_);
  List<PlainConnection> plain = std::move(buried_plain_);
  clients.clear();
  plain.clear();
  if (drained_ == nullptr || !clients_.empty() || !plain_clients_.empty()) return;
  // The last greetings have 10 s: one look more, then.
  if (greetings_.size() > 0) {
    looks_again_ = loop_.clock().after(kGreetingsLook, [this] { clean_up(); });
    return;
  }
  auto drained = std::exchange(drained_, [] {});
  drained();
}

void Worker::drain(Drain how, std::function<void()> drained) {
  stop_listening();
  draining_ = how;
  drained_ = std::move(drained);
  // Draining buries those that are idle, which takes them off the lists.
  if (how == Drain::kSoon) {
    greetings_.close_all();
    for (auto next = clients_.begin(); next != clients_.end();) (next++)->drain();
    for (auto next = plain_clients_.begin(); next != plain_clients_.end();) (next++)->drain();
  } else {
    for (auto next = clients_.begin(); next != clients_.end();) (next++)->drain_gently();
    for (auto next = plain_clients_.begin(); next != plain_clients_.end();) {
      (next++)->drain_gently();
    }
  }
  looks_again_ = loop_.clock().after(Millis(0), [this] { clean_up(); });
}

}  // namespace latchkey::edge
