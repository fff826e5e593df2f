#include "edge/proxy_stream.h"

#include <utility>

#include "edge/http/headers.h"
#include "edge/pages.h"
#include "edge/proxy_header.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxKept = 64 << 10;
// A server that says nothing must not use up the others' time.
constexpr Millis kPatience{1'000};

bool may_repeat(std::string_view method) {
  for (const char* safe : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    if (method == safe) return true;
  }
  return false;
}

// A gateway that says so itself is no better than one that says nothing.
bool is_gateway_trouble(int status) {
  return status == 502 || status == 503 || status == 504;
}

}  // namespace

ProxyStream::ProxyStream(ProxyContext& context, RequestHead head, ResponseStream& stream)
    : context_(context),
      stream_(stream),
      routes_(context.routes),
      head_(std::move(head)),
      idempotent_(may_repeat(head_.method)) {}

ProxyStream::~ProxyStream() {
  leave_server();
}

void ProxyStream::start() {
  const std::string host = head_.host();
  const HostRules* const rules = stream_.client().rules;
  if (rules != nullptr && !rules->covers(host)) {
    return answer_page(stream_, 421, "This connection was made for another host name.");
  }
  route_ = routes_->find(host, head_.target);
  auto found = find_balancer(host);
  if (!found) {
    // Anywhere else might be somebody else's.
    context_.log.error("ask_upstream_unusable", found.error().message, {{"name", host}});
    return answer_page(stream_, 502, "The server behind this site cannot be reached.");
  }
  balancer_ = *std::move(found);
  if (balancer_ == nullptr && route_ != nullptr && route_->redirect) {
    return answer_redirect(stream_, redirect_location(*route_->redirect, head_),
                           route_->redirect->status);
  }
  if (balancer_ == nullptr) {
    return answer_page(stream_, 404, "There is no site by this name here.");
  }
  forward_request(head_, stream_.client(), request_rules());
  if (waits_for_switch()) stream_.pause_body();
  connect_by_ = context_.clock.now() + context_.limits.connect_time;
  if (balancer_->ready()) return attempt();
  limit_ = context_.clock.after(context_.limits.connect_time, [this] {
    waiting_.reset();
    if (!balancer_->servers().empty()) {  // those that were there
      connect_by_ = context_.clock.now() + context_.limits.connect_time;
      return attempt();
    }
    give_up(504, "The server behind this site cannot be reached at the moment.",
            "no answer from DNS");
  });
  waiting_ = balancer_->wait([this] {
    limit_.reset();
    attempt();
  });
}

// Null: there is no route.
Result<std::shared_ptr<Balancer>> ProxyStream::find_balancer(const std::string& host) {
  const std::string upstream =
      context_.obey_grants ? granted_upstream(stream_.client(), host) : std::string();
  if (upstream.empty()) {
    if (route_ == nullptr || route_->group == nullptr) return std::shared_ptr<Balancer>();
    return context_.balancers.of(route_->group);
  }
  if (const auto group = routes_->group(upstream)) return context_.balancers.of(group);
  auto granted = context_.balancers.granted(upstream);
  if (granted) return granted;
  return std::move(granted).error().in(
      "the ask endpoint's answer names an upstream that cannot be used");
}

std::string ProxyStream::granted_upstream(const ClientInfo& client, const std::string& host) {
  const GrantPtr grant = client.rules != nullptr ? client.rules->grant_of(host) : nullptr;
  return grant == nullptr ? "" : grant->upstream;
}

const HeaderRules& ProxyStream::request_rules() const {
  static const HeaderRules kNone;
  return route_ != nullptr ? route_->request_headers : kNone;
}

const HeaderRules& ProxyStream::response_rules() const {
  static const HeaderRules kNone;
  return route_ != nullptr ? route_->response_headers : kNone;
}

// ---- towards the upstream

void ProxyStream::attempt() {
  if (next_server()) return reach();
  give_up(late_ ? 504 : 502, "The server behind this site cannot be reached at the moment.",
          trouble_.empty() ? balancer_->trouble() : trouble_);
}

bool ProxyStream::next_server() {
  if (tries_ > balancer_->group().retries) return false;
  const ServerPtr next = balancer_->choose(client_address(), tried_);
  if (next == nullptr) return false;
  leave_server();
  server_ = next;
  ++server_->active;
  tried_.push_back(server_);
  ++tries_;
  return true;
}

void ProxyStream::reach() {
  // What cannot be sent twice is not sent on a connection that may be closing.
  if (auto taken = context_.pool.take(*endpoint(), !idempotent_)) return use(std::move(taken));
  connect();
}

// Over HTTP/2 few servers take WebSockets (RFC 8441); over HTTP/1.1 all do that take any.
EndpointPtr ProxyStream::endpoint() const {
  if (head_.upgrade.empty() || !server_->endpoint->http2 || server_->endpoint->tls == nullptr) {
    return server_->endpoint;
  }
  auto plain = std::make_shared<Endpoint>(*server_->endpoint);
  plain->http2 = false;
  plain->set_key();
  return plain;
}

// A WebSocket over HTTP/2 (RFC 8441) may send before the upstream has switched: to an upstream that
// does not, it would be another request.
bool ProxyStream::waits_for_switch() const {
  return head_.http2 && !head_.upgrade.empty() && !tunnel_;
}

std::string_view ProxyStream::client_address() const {
  if (head_.client_address.empty()) return stream_.client().address;
  return head_.client_address;
}

std::string ProxyStream::greeting() const {
  const ProxyOut version = server_->endpoint->proxy_protocol;
  if (version == ProxyOut::kNone) return "";
  return write_proxy_header(version == ProxyOut::kV2, std::string(client_address()),
                            stream_.client().secure ? 443 : 80);
}

void ProxyStream::connect() {
  const auto left = connect_by_ - context_.clock.now();
  const bool last =
      tried_.size() >= balancer_->servers().size() || tries_ > balancer_->group().retries;
  const Millis limit = std::max(Millis(1), last ? left : std::min<Millis>(left, kPatience));
  connecting_ = context_.pool.connect(
      endpoint(), greeting(), limit,
      [this](Result<std::unique_ptr<OriginStream>> result) { on_connected(std::move(result)); });
}

void ProxyStream::on_connected(Result<std::unique_ptr<OriginStream>> result) {
  const auto connecting = std::move(connecting_);
  if (result) return use(*std::move(result));
  trouble_ = result.error().message;
  late_ = result.error().code == ErrorCode::kTimeout;
  // Out of descriptors: that is our fault, and would be so with all others.
  if (result.error().code == ErrorCode::kThrottled) {
    return give_up(503, "There are too many connections at the moment.", trouble_);
  }
  judge(false, trouble_);
  context_.log.warning("upstream_unreachable", trouble_,
                       {{"host", head_.authority}, {"request", head_.id}});
  attempt();
}

void ProxyStream::judge(bool well, const std::string& why) {
  if (server_ == nullptr) return;
  if (well) {
    balancer_->succeeded(*server_);
  } else {
    balancer_->failed(*server_, why);
  }
}

void ProxyStream::leave_server() {
  if (server_ != nullptr) --server_->active;
  server_.reset();
}

void ProxyStream::use(std::unique_ptr<OriginStream> stream) {
  origin_ = std::move(stream);
  if (ExchangeNotes* notes = stream_.notes(); notes != nullptr) {
    *notes = {origin_->endpoint().text(), context_.clock.now(), std::nullopt};
  }
  origin_->send_head(*this, head_);
  origin_->send_body(kept_);
  // HTTP/2 tells whether a request was touched (RFC 9113, 8.7): it may come again, whatever it is.
  if (!idempotent_ && !origin_->tells_untouched()) spend();
  if (ended_) return request_complete();
  if (waits_for_switch()) return expect_progress();
  if (head_.expect_continue || origin_->full()) expect_progress();
  if (!origin_->full()) stream_.resume_body();
}

void ProxyStream::on_body(std::string_view bytes) {
  if (tunnel_) {
    origin_->send_body(bytes);
    if (origin_->full()) stream_.pause_body();
    return;
  }
  if (origin_ == nullptr) {
    kept_.append(bytes);
    return hold_back();
  }
  limit_.reset();
  if (!spent_ && kept_.size() + bytes.size() <= kMaxKept) {
    kept_.append(bytes);
  } else {
    spend();
  }
  origin_->send_body(bytes);
  hold_back();
}

// From here on the request cannot be sent again.
void ProxyStream::spend() {
  std::string().swap(kept_);
  spent_ = true;
}

void ProxyStream::hold_back() {
  if (origin_ != nullptr ? !origin_->full() : kept_.size() < kMaxKept) return;
  stream_.pause_body();
  if (origin_ != nullptr) expect_progress();
}

void ProxyStream::on_request_end(const HeaderList& trailers) {
  if (tunnel_) return origin_->finish_tunnel();
  ended_ = true;
  trailers_ = trailers;
  forward_request_trailers(trailers_, request_rules());
  if (origin_ != nullptr) request_complete();
}

void ProxyStream::request_complete() {
  origin_->finish_request(trailers_);
  expect_progress();
}

// The upstream is to take the request on, or to answer it, in time.
void ProxyStream::expect_progress() {
  if (answering_) return;
  limit_ = context_.clock.after(context_.limits.response_time, [this] {
    origin_.reset();
    const std::string why = server_->endpoint->text() + ": no response within " +
                            std::to_string(context_.limits.response_time.count()) + " ms";
    judge(false, why);
    give_up(504, "The server behind this site takes too long to answer.", why);
  });
}

void ProxyStream::on_request_writable() {
  if (waits_for_switch()) return;
  if (!ended_) limit_.reset();  // now we wait for the client
  stream_.resume_body();
}

// ---- towards the client

void ProxyStream::on_writable() {
  if (origin_ != nullptr) origin_->resume_response();
}

void ProxyStream::on_response_interim(const ResponseHead& head) {
  if (head.status == 100 && !ended_) limit_.reset();  // now we wait for the client
  ResponseHead clean = head;
  forward_response(clean, {});
  stream_.send_interim(clean);
}

void ProxyStream::on_response_head(ResponseHead& head) {
  limit_.reset();
  spend();
  answering_ = true;
  if (auto* notes = stream_.notes(); notes != nullptr) notes->answered = context_.clock.now();
  const bool well = !is_gateway_trouble(head.status);
  judge(well, well ? std::string() : "answered " + std::to_string(head.status));
  tunnel_ = head.status == 101;
  forward_response(head, response_rules());
  // RFC 6797, 7.2: it does not belong into what comes without TLS.
  if (!stream_.client().secure) head.headers.remove("strict-transport-security");
  stream_.send_head(head);
  if (tunnel_) stream_.resume_body();
}

void ProxyStream::on_response_body(std::string_view bytes) {
  stream_.send_body(bytes);
  if (stream_.full()) origin_->pause_response();
}

void ProxyStream::on_response_pause() {
  stream_.flush();
}

void ProxyStream::on_response_end(const HeaderList& trailers) {
  // A copy, as they die with the connection.
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
  const HeaderList last = trailers;
  // A tunnel's other direction goes on.
  if (!tunnel_) context_.pool.give_back(std::move(origin_));
  stream_.finish(last);
}

void ProxyStream::on_origin_failure(const OriginFailure& failure) {
  const auto failed = std::move(origin_);
  const std::string upstream = failed->endpoint().text();
  limit_.reset();
  if (answering_) {
    judge(false, failure.why);
    context_.log.warning(
        "upstream_cut", failure.why,
        {{"host", head_.authority}, {"upstream", upstream}, {"request", head_.id}});
    return stream_.reset();
  }
  const bool again = !spent_ && (failure.untouched || (idempotent_ && !failure.began));
  connect_by_ = context_.clock.now() + context_.limits.connect_time;
  // The upstream closed a kept connection just as we took it: that says nothing about it.
  if (again && failed->reused() && tries_++ <= balancer_->group().retries) return connect();
  trouble_ = upstream + ": " + failure.why;
  late_ = false;
  if (!failure.untouched) judge(false, trouble_);
  if (again && (next_server() || (failure.untouched && tries_++ <= balancer_->group().retries))) {
    context_.log.warning("upstream_retried", trouble_,
                         {{"host", head_.authority}, {"request", head_.id}});
    return reach();
  }
  give_up(502, "The server behind this site gave no usable answer.", trouble_);
}

void ProxyStream::give_up(int status, const char* text, const std::string& why) {
  limit_.reset();
  context_.log.warning("upstream_failed", why,
                       {{"host", head_.authority}, {"status", status}, {"request", head_.id}});
  answer_page(stream_, status, text, std::chrono::seconds(5));
}

}  // namespace latchkey::edge
