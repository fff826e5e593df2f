#include "edge/proxy_stream.h"

#include <utility>

#include "edge/http/headers.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxKept = 64 << 10;

bool may_repeat(std::string_view method) {
  for (const char* safe : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    if (method == safe) return true;
  }
  return false;
}

}  // namespace

ProxyStream::ProxyStream(ProxyContext& context, RequestHead head, ResponseStream& stream)
    : context_(context),
      stream_(stream),
      routes_(context.routes),
      head_(std::move(head)),
      idempotent_(may_repeat(head_.method)) {}

ProxyStream::~ProxyStream() = default;

void ProxyStream::start() {
  const std::string host = head_.host();
  const auto& covers = stream_.client().covers;
  if (covers && !covers(host)) {
    return answer_page(stream_, 421, "This connection was made for another host name.");
  }
  route_ = routes_->find(host);
  const std::string upstream =
      context_.obey_grants ? granted_upstream(stream_.client(), host) : std::string();
  if (!upstream.empty()) {
    auto origin = parse_upstream(upstream);
    if (!origin) {
      // Anywhere else might be somebody else's.
      context_.log.error("ask_upstream_unusable",
                         "the ask endpoint's answer names an upstream that cannot be used: it must "
                         "be http://host:port",
                         {{"name", host}});
      return answer_page(stream_, 502, "The server behind this site cannot be reached.");
    }
    granted_ = *std::move(origin);
    upstreams_ = {&*granted_, 1};
  } else if (route_ != nullptr && route_->redirect) {
    return answer_redirect(stream_, redirect_location(*route_->redirect, head_),
                           route_->redirect->status);
  } else if (route_ != nullptr) {
    upstreams_ = route_->upstreams;
    const size_t index = routes_->index_of(*route_);
    if (context_.turns.size() <= index) context_.turns.resize(index + 1);
    first_ = context_.turns[index]++ % upstreams_.size();
  } else {
    return answer_page(stream_, 404, "There is no site by this name here.");
  }
  forward_request(head_, stream_.client(), request_rules());
  attempt();
}

std::string ProxyStream::granted_upstream(const ClientInfo& client, const std::string& host) {
  const GrantPtr grant = client.grant_of ? client.grant_of(host) : nullptr;
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
  while (auto resting = context_.pool.take(origin_to_try())) {
    // What cannot be sent twice is not sent on a connection that may be closing.
    if (idempotent_ || !resting->stale()) return use(std::move(resting));
  }
  connect();
}

void ProxyStream::connect() {
  connecting_ = context_.pool.connect(origin_to_try(),
                                      [this](Result<std::unique_ptr<OriginConnection>> result) {
                                        on_connected(std::move(result));
                                      });
}

void ProxyStream::on_connected(Result<std::unique_ptr<OriginConnection>> result) {
  const auto connecting = std::move(connecting_);
  if (result) return use(*std::move(result));
  const bool late = result.error().code == ErrorCode::kTimeout;
  if (++tried_ < upstreams_.size()) {
    context_.log.warning("upstream_unreachable", result.error().message,
                         {{"host", head_.authority}, {"request", head_.id}});
    return attempt();
  }
  give_up(late ? 504 : 502, "The server behind this site cannot be reached at the moment.",
          result.error().message);
}

void ProxyStream::use(std::unique_ptr<OriginConnection> connection) {
  origin_ = std::move(connection);
  if (ExchangeNotes* notes = stream_.notes(); notes != nullptr) {
    *notes = {origin_->origin().text(), context_.clock.now(), std::nullopt};
  }
  origin_->send_head(*this, head_);
  origin_->send_body(kept_);
  if (!idempotent_ || !origin_->reused()) {
    spend();
  }
  if (ended_) return request_complete();
  if (head_.expect_continue) expect_progress();
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
    give_up(504, "The server behind this site takes too long to answer.",
            "no response within " + std::to_string(context_.limits.response_time.count()) + " ms");
  });
}

void ProxyStream::on_request_writable() {
  stream_.resume_body();
}

// ---- towards the client

void ProxyStream::on_writable() {
  if (origin_ != nullptr) origin_->resume_response();
}

void ProxyStream::on_response_interim(const ResponseHead& head) {
  ResponseHead clean = head;
  forward_response(clean, {});
  stream_.send_interim(clean);
}

void ProxyStream::on_response_head(ResponseHead& head) {
  limit_.reset();
  spend();
  answering_ = true;
  if (auto* notes = stream_.notes(); notes != nullptr) notes->answered = context_.clock.now();
  tunnel_ = head.status == 101;
  forward_response(head, response_rules());
  // RFC 6797, 7.2: it does not belong into what comes without TLS.
  if (!stream_.client().secure) head.headers.remove("strict-transport-security");
  stream_.send_head(head);
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

void ProxyStream::on_origin_failure(const std::string& why, bool began) {
  const auto failed = std::move(origin_);
  limit_.reset();
  if (answering_) {
    context_.log.warning(
        "upstream_cut", why,
        {{"host", head_.authority}, {"upstream", failed->origin().text()}, {"request", head_.id}});
    return stream_.reset();
  }
  // The upstream closed a kept connection just as we took it: nothing of ours was done.
  if (!began && failed->reused() && idempotent_ && !spent_) return connect();
  give_up(502, "The server behind this site gave no usable answer.",
          failed->origin().text() + ": " + why);
}

void ProxyStream::give_up(int status, const char* text, const std::string& why) {
  limit_.reset();
  context_.log.warning("upstream_failed", why,
                       {{"host", head_.authority}, {"status", status}, {"request", head_.id}});
  answer_page(stream_, status, text, std::chrono::seconds(5));
}

}  // namespace latchkey::edge
