#include "edge/front/front.h"

#include <chrono>
#include <utility>

#include "edge/front/client_address.h"
#include "edge/front/request_id.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

using std::chrono::seconds;

// Answers one who asks too often.
class TooMany final : public Exchange {
 public:
  TooMany(ResponseStream& stream, Millis wait)
      : stream_(stream), wait_(std::chrono::ceil<seconds>(wait)) {}

  void start() override {
    answer_page(stream_, 429,
                "Too many requests have come from your network. Please wait a moment.", wait_);
  }
  void on_body(std::string_view) override {}
  void on_request_end(const HeaderList&) override {}
  void on_writable() override {}

 private:
  ResponseStream& stream_;
  const seconds wait_;
};

}  // namespace

Front::Front(Clock& clock, FrontCounts& counts, std::shared_ptr<const FrontOptions> options)
    : state_{clock, counts, nullptr} {
  replace(std::move(options));
}

void Front::replace(std::shared_ptr<const FrontOptions> options) {
  state_.options = options != nullptr ? std::move(options) : std::make_shared<const FrontOptions>();
}

Serve Front::before(Serve inner) {
  return [this, inner = std::move(inner)](RequestHead head, ResponseStream& stream) {
    return serve(std::move(head), stream, inner);
  };
}

std::unique_ptr<Exchange> Front::serve(RequestHead head, ResponseStream& stream,
                                       const Serve& inner) {
  state_.counts.requests.add();
  introduce(head, stream.client());
  const bool attended = Attended::is_of_use(*state_.options, head);
  if (const std::optional<Millis> wait = too_early(head); wait) {
    state_.counts.rate_limited.add();
    const Serve refuse = [wait](RequestHead, ResponseStream& to) -> std::unique_ptr<Exchange> {
      return std::make_unique<TooMany>(to, *wait);
    };
    if (!attended) return refuse(std::move(head), stream);
    return std::make_unique<Attended>(state_, std::move(head), stream, refuse);
  }
  if (!attended) return inner(std::move(head), stream);
  return std::make_unique<Attended>(state_, std::move(head), stream, inner);
}

void Front::introduce(RequestHead& head, const ClientInfo& client) const {
  const FrontOptions& options = *state_.options;
  head.client_address = client.address;
  head.forwarded = options.forwarded;
  if (options.trusted_proxies.contains(client.address)) {
    head.from_trusted_proxy = true;
    head.client_address =
        client_behind_proxies(head.headers, std::string(client.address), options.trusted_proxies);
    const std::string_view id = head.headers.get("x-request-id");
    if (is_request_id(id) && head.headers.count("x-request-id") == 1) head.id = id;
  }
  if (head.id.empty()) head.id = new_request_id();
}

std::optional<Millis> Front::too_early(const RequestHead& head) {
  RateLimiter* limit = state_.options->rate_limit.get();
  if (limit == nullptr) return std::nullopt;
  // A CA that checks many names at once comes from few addresses.
  if (head.scheme == "http" && head.target.starts_with("/.well-known/acme-challenge/")) {
    return std::nullopt;
  }
  return limit->take(head.client_address, state_.clock.now());
}

}  // namespace latchkey::edge
