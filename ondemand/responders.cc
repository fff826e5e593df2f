#include "ondemand/responders.h"

#include <algorithm>
#include <string>
#include <utility>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxKnown = 1000;
constexpr int kFailures = 5;         // in a row
constexpr Millis kProbeEvery = 60s;  // longer than a request can take
constexpr Millis kLongestHold = 1h;
constexpr Millis kSlow = 1s;

}  // namespace

struct Responders::Responder {
  Responder(Clock& clock, size_t places_in) : places(clock, places_in) {}

  Turnstile places;
  Breaker breaker{{kFailures, kProbeEvery}};
  std::optional<TimePoint> failing_since{};
  bool slow = false;  // the last time
  size_t visits = 0;
};

Responders::Responders(Options options, Clock& clock)
    : options_(options), clock_(clock), places_(clock, options.at_once) {}
Responders::~Responders() = default;

std::string Responders::key_of(const std::string& url) {
  const size_t host = url.find("://");
  return url.substr(0, host == url.npos ? host : url.find_first_of("/?#", host + 3));
}

std::optional<Responders::Visit> Responders::visit(const std::string& url, bool urgent) {
  std::string key = key_of(url);
  if (known_.size() >= kMaxKnown && !known_.contains(key)) {
    forget_idle();
    if (known_.size() >= kMaxKnown) return std::nullopt;
  }
  std::shared_ptr<Responder>& responder = known_[key];
  if (responder == nullptr) responder = std::make_shared<Responder>(clock_, options_.at_once_each);
  const bool full = responder->slow && responder->visits >= options_.waiting_each;
  if (full && !urgent) return std::nullopt;
  return Visit(*this, std::move(key), responder);
}

bool Responders::is_down(const std::string& url) const {
  const auto found = known_.find(key_of(url));
  return found != known_.end() && !found->second->breaker.admits(clock_.now());
}

// What is known of a responder without visits and failures is nothing.
void Responders::forget_idle() {
  std::erase_if(known_, [](const auto& one) { return one.second->visits == 0; });
}

Responders::Visit::Visit(Responders& all, std::string key, std::shared_ptr<Responder> responder)
    : all_(&all), key_(std::move(key)), responder_(std::move(responder)) {
  ++responder_->visits;
}

Responders::Visit::~Visit() {
  if (responder_ == nullptr) return;
  --responder_->visits;
  if (responder_->visits == 0 && !responder_->failing_since) all_->known_.erase(key_);
}

Task<> Responders::Visit::enter(Millis limit) {
  Clock& clock = all_->clock_;
  const TimePoint end = clock.now() + limit;
  Error down{ErrorCode::kThrottled, key_ + " has not answered lately and is asked seldom"};
  if (!responder_->breaker.admits(clock.now())) co_return down;
  Task<Turnstile::Pass> own = responder_->places.enter(limit);
  place_ = co_await std::move(own);
  Task<Turnstile::Pass> common = all_->places_.enter(end - clock.now());
  place_of_all_ = co_await std::move(common);
  if (!responder_->breaker.admit(clock.now())) co_return down;
  entered_ = clock.now();
  co_return Unit{};
}

void Responders::Visit::answered() {
  responder_->slow = all_->clock_.now() - entered_ > kSlow;
}

void Responders::Visit::succeeded() {
  answered();
  responder_->breaker.succeeded();
  responder_->failing_since.reset();
}

bool Responders::Visit::failed(Millis stay_away) {
  answered();
  const TimePoint now = all_->clock_.now();
  if (!responder_->failing_since) responder_->failing_since = now;
  const bool was_open = responder_->breaker.open();
  responder_->breaker.failed(now);
  if (stay_away > 0ms) responder_->breaker.hold(now + std::min(stay_away, kLongestHold));
  return !was_open && responder_->breaker.open();
}

Millis Responders::Visit::down_for() const {
  const TimePoint now = all_->clock_.now();
  if (responder_->breaker.admits(now)) return 0ms;
  return std::max<Millis>(1ms, now - responder_->failing_since.value_or(now));
}

}  // namespace latchkey
