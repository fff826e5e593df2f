#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "edge/http/stream.h"
#include "edge/routes.h"
#include "edge/upstream/balancers.h"
#include "edge/upstream/origin_pool.h"

namespace latchkey::edge {

struct ProxyLimits {
  Millis connect_time{5'000};    // look-up and all servers that are tried, together
  Millis response_time{60'000};  // from the whole request to the response's head; and for an
                                 // upstream that reads no further
};

// What the proxied requests of one worker share.
struct ProxyContext {
  Clock& clock;
  Log& log;
  OriginPool& pool;
  Balancers& balancers;
  std::shared_ptr<const RoutingTable> routes;  // replaced by a reload; exchanges keep theirs
  ProxyLimits limits = {};
  bool obey_grants = true;  // an upstream that the policy names goes before the routes
};

// One request both ways: from a client's stream to an upstream's connection and back, with
// back-pressure both ways. The upstreams are those that the policy granted to the name, else those
// of the matching route; the route's header rules apply to both. A server that cannot be reached is
// replaced by another one, as long as there is time; one that breaks off before it has answered
// only where that cannot do a thing twice. Worker thread.
class ProxyStream final : public Exchange, private OriginStream::Handler {
 public:
  ProxyStream(ProxyContext& context, RequestHead head, ResponseStream& stream);
  ~ProxyStream() override;

  void start() override;
  void on_body(std::string_view bytes) override;
  void on_request_end(const HeaderList& trailers) override;
  void on_writable() override;

 private:
  // "" where the policy says nothing about it.
  static std::string granted_upstream(const ClientInfo& client, const std::string& host);
  Result<std::shared_ptr<Balancer>> find_balancer(const std::string& host);
  const HeaderRules& request_rules() const;
  const HeaderRules& response_rules() const;
  void attempt();
  void connect();
  void on_connected(Result<std::unique_ptr<OriginStream>> result);
  bool next_server();
  void reach();
  void use(std::unique_ptr<OriginStream> stream);
  void judge(bool well, const std::string& why);
  void leave_server();
  EndpointPtr endpoint() const;
  std::string_view client_address() const;
  bool waits_for_switch() const;
  std::string greeting() const;
  void request_complete();
  void expect_progress();
  void spend();
  void hold_back();
  void give_up(int status, const char* text, const std::string& why);

  void on_response_interim(const ResponseHead& head) override;
  void on_response_head(ResponseHead& head) override;
  void on_response_body(std::string_view bytes) override;
  void on_response_end(const HeaderList& trailers) override;
  void on_response_pause() override;
  void on_request_writable() override;
  void on_origin_failure(const OriginFailure& failure) override;

  ProxyContext& context_;
  ResponseStream& stream_;
  const std::shared_ptr<const RoutingTable> routes_;
  const Route* route_ = nullptr;  // of routes_; null: only the policy says where to
  RequestHead head_;
  const bool idempotent_;
  std::shared_ptr<Balancer> balancer_;
  std::unique_ptr<Balancer::Waiting> waiting_;  // for DNS
  ServerPtr server_;                            // the one that is tried; counts us
  std::vector<ServerPtr> tried_;                // <= Group::retries + 1
  unsigned tries_ = 0;                          // of them, or again of one
  TimePoint connect_by_{};
  std::string trouble_;  // the last server's
  bool late_ = false;    // ... was that it took too long
  std::unique_ptr<OriginPool::Connecting> connecting_;
  std::unique_ptr<OriginStream> origin_;
  // The request's body so far, for the connection that is being made or for a second try:
  // <= 64 KiB and one read. Not kept (`spent_`) once it cannot be needed or grows beyond that.
  std::string kept_;
  HeaderList trailers_;
  bool spent_ = false;
  bool ended_ = false;      // the client has sent all
  bool answering_ = false;  // the response's head went out
  bool tunnel_ = false;
  Alarm limit_;  // for DNS, for the response's head, or for a request that is not taken
};

}  // namespace latchkey::edge
