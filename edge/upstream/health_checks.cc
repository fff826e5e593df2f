#include "edge/upstream/health_checks.h"

#include <utility>

#include "edge/proxy_header.h"

namespace latchkey::edge {

namespace {

// We ask for nobody.
std::string greeting(ProxyOut version) {
  return version == ProxyOut::kNone ? "" : write_proxy_header(version == ProxyOut::kV2, "", 0);
}

}  // namespace

// One question to one server.
class HealthChecks::Check final : private OriginStream::Handler {
 public:
  Check(HealthChecks& owner, ServerPtr server) : owner_(owner), server_(std::move(server)) {
    limit_ = owner_.clock_.after(owner_.rule_.timeout, [this] {
      end(false, "no answer within " + std::to_string(owner_.rule_.timeout.count()) + " ms");
    });
    // A shared connection is asked itself; else one is made, as a new visitor's would be.
    if (server_->endpoint->http2) stream_ = owner_.pool_.take(*server_->endpoint, true);
    if (stream_ != nullptr) {
      ask();
      return;
    }
    connecting_ = owner_.pool_.connect(
        server_->endpoint, greeting(server_->endpoint->proxy_protocol), owner_.rule_.timeout,
        [this](Result<std::unique_ptr<OriginStream>> result) { on_connected(std::move(result)); });
  }

 private:
  void on_connected(Result<std::unique_ptr<OriginStream>> result) {
    const auto connecting = std::move(connecting_);
    if (!result && result.error().code == ErrorCode::kThrottled) return end(std::nullopt, "");
    if (!result) return end(false, result.error().message);
    stream_ = *std::move(result);
    ask();
  }
  void ask() {
    RequestHead head;
    head.method = "GET";
    head.target = owner_.rule_.path;
    head.authority =
        owner_.rule_.host.empty() ? stream_->endpoint().host : std::string(owner_.rule_.host);
    head.scheme = stream_->endpoint().tls != nullptr ? "https" : "http";
    head.headers.add("user-agent", "latchkey-health");
    stream_->send_head(*this, head);
    stream_->finish_request({});
  }
  void on_response_interim(const ResponseHead&) override {}
  void on_response_head(ResponseHead& head) override {
    const bool well =
        head.status >= owner_.rule_.status_from && head.status <= owner_.rule_.status_to;
    end(well, "health check: status " + std::to_string(head.status));
  }
  void on_response_body(std::string_view) override {}
  void on_response_end(const HeaderList&) override {}
  void on_response_pause() override {}
  void on_request_writable() override {}
  void on_origin_failure(const OriginFailure& failure) override { end(false, failure.why); }

  // Destroys us.
  void end(std::optional<bool> well, const std::string& why) {
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): it may die with us
    const std::string reason = why;
    owner_.ended(server_, well, reason);
  }

  HealthChecks& owner_;
  const ServerPtr server_;
  Alarm limit_;
  std::unique_ptr<OriginPool::Connecting> connecting_;
  std::unique_ptr<OriginStream> stream_;
};

HealthChecks::HealthChecks(Clock& clock, OriginPool& pool, Balancer& balancer)
    : clock_(clock), pool_(pool), balancer_(balancer), rule_(*balancer.group().health) {
  next_ = clock_.after(Millis(0), [this] { round(); });
}

HealthChecks::~HealthChecks() = default;

void HealthChecks::round() {
  const Alarm fired = std::move(next_);
  next_ = clock_.after(rule_.interval, [this] { round(); });
  if (!balancer_.ready()) {
    waiting_ = balancer_.wait([this] { round(); });
    return;
  }
  waiting_.reset();
  for (const ServerPtr& server : balancer_.servers()) {
    std::unique_ptr<Check>& check = under_way_[server];
    if (check == nullptr) check = std::make_unique<Check>(*this, server);
  }
}

void HealthChecks::ended(const ServerPtr& server, std::optional<bool> well,
                         const std::string& why) {
  const auto found = under_way_.find(server);
  const auto check = std::move(found->second);  // destroyed at the end: it is on the stack
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `server` is the check's
  const ServerPtr kept = server;
  under_way_.erase(found);
  if (well) balancer_.checked(*kept, *well, why);
}

}  // namespace latchkey::edge
