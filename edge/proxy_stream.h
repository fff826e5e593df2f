#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "edge/http/stream.h"
#include "edge/routes.h"
#include "edge/upstream/origin_pool.h"

namespace latchkey::edge {

struct ProxyLimits {
  Millis response_time{60'000};  // from the whole request to the response's head; and for an
                                 // upstream that reads no further
};

// What the proxied requests of one worker share.
struct ProxyContext {
  Clock& clock;
  Log& log;
  OriginPool& pool;
  std::shared_ptr<const RoutingTable> routes;  // replaced by a reload; exchanges keep theirs
  ProxyLimits limits = {};
  bool obey_grants = true;           // an upstream that the policy names goes before the routes
  std::vector<unsigned> turns = {};  // by route: whose turn it is (round robin)
};

// One request both ways: from a client's stream to an upstream's connection and back, with
// back-pressure both ways. The upstream is the one that the policy granted to the name, else one of
// the matching route's; the route's header rules apply to both. Worker thread.
class ProxyStream final : public Exchange, private OriginConnection::Handler {
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
  const HeaderRules& request_rules() const;
  const HeaderRules& response_rules() const;
  const Origin& origin_to_try() const { return upstreams_[(first_ + tried_) % upstreams_.size()]; }
  void attempt();
  void connect();
  void on_connected(Result<std::unique_ptr<OriginConnection>> result);
  void use(std::unique_ptr<OriginConnection> connection);
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
  void on_origin_failure(const std::string& why, bool began) override;

  ProxyContext& context_;
  ResponseStream& stream_;
  const std::shared_ptr<const RoutingTable> routes_;
  const Route* route_ = nullptr;       // of routes_; null: only granted_ says where to
  std::optional<Origin> granted_;      // by the policy
  std::span<const Origin> upstreams_;  // of route_, or granted_
  RequestHead head_;
  const bool idempotent_;
  size_t first_ = 0;  // the upstream whose turn it is
  size_t tried_ = 0;  // upstreams that could not be reached
  std::unique_ptr<OriginPool::Connecting> connecting_;
  std::unique_ptr<OriginConnection> origin_;
  // The request's body so far, for the connection that is being made or for a second try:
  // <= 64 KiB and one read. Not kept (`spent_`) once it cannot be needed or grows beyond that.
  std::string kept_;
  HeaderList trailers_;
  bool spent_ = false;
  bool ended_ = false;      // the client has sent all
  bool answering_ = false;  // the response's head went out
  bool tunnel_ = false;
  Alarm limit_;  // for the response's head, or for a request that is not taken
};

}  // namespace latchkey::edge
