#include "edge/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <list>
#include <utility>

#include "base/retry_after.h"
#include "base/task_set.h"
#include "base/text.h"
#include "base/url.h"
#include "edge/event_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxQueued = 1000;  // about 1 KiB each, 9 KiB at most
constexpr size_t kMaxAtOnce = 4;
constexpr int kPatience = 3;     // tries of one event that keep the others waiting
constexpr Millis kGiveUp = 24h;  // after it was told
constexpr size_t kMaxReply = 4096;
constexpr size_t kShownReply = 200;  // bytes of it in a message

Millis pause_after(int failures) {
  constexpr std::array<Millis, 6> kPauses{1s, 5s, 30s, 2min, 10min, 1h};
  const size_t i = static_cast<size_t>(std::max(failures, 1)) - 1;
  return kPauses[std::min(i, kPauses.size() - 1)];
}

std::string signature(const std::string& secret, const std::string& text) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), secret.size(), reinterpret_cast<const uint8_t*>(text.data()),
       text.size(), mac.data(), &size);
  return "sha256=" + to_hex(mac.data(), size);
}

enum class Answer { kDelivered, kAgain, kNever };

Answer judge(const Result<HttpReply>& reply) {
  if (!reply) return reply.error().code == ErrorCode::kInvalid ? Answer::kNever : Answer::kAgain;
  const int status = reply->status;
  if (status >= 200 && status < 300) return Answer::kDelivered;
  if (status == 408 || status == 425 || status == 429) return Answer::kAgain;
  return status >= 400 && status < 500 ? Answer::kNever : Answer::kAgain;
}

std::string cause_of(const Result<HttpReply>& reply) {
  if (!reply) return reply.error().message;
  std::string cause = "it answered " + std::to_string(reply->status);
  if (reply->status >= 300 && reply->status < 400) {
    return cause + " (redirects are not followed: events.webhook.url must be where they lead)";
  }
  if (!reply->body.empty()) cause += ": " + reply->body.substr(0, kShownReply);
  return cause;
}

}  // namespace

struct Webhook::Delivery {
  std::string id, kind, body;
  TimePoint due;      // not before
  TimePoint give_up;  // no try after that
  int tries = 0;
  bool under_way = false;
};

struct Webhook::Impl {
  Impl(WebhookConfig c, std::string s, HttpClient& h, Clock& k, Log& l, Counts& n)
      : config(std::move(c)), secret(std::move(s)), http(h), clock(k), log(l), counts(n) {}

  void add(const Event& event);
  void wake_at(TimePoint at);
  void pump();
  Delivery* next_due(TimePoint now);
  HttpRequest request_for(const Delivery& delivery) const;
  static Task<> deliver(Impl& self, Delivery& delivery);
  void finish(Delivery& delivery, const Result<HttpReply>& reply);
  // False: its time would be over.
  bool try_again(Delivery& delivery, const Result<HttpReply>& reply);
  void forget(const Delivery& delivery) {
    queue.remove_if([&](const Delivery& one) { return &one == &delivery; });
  }

  const WebhookConfig config;
  const std::string secret;
  HttpClient& http;
  Clock& clock;
  Log& log;
  Counts& counts;

  EventIds ids;
  std::list<Delivery> queue;  // <= kMaxQueued, in the order of telling
  size_t under_way = 0;
  int failures = 0;  // of the receiver, one after the other
  TimePoint hold_until = TimePoint::min();
  Alarm alarm;
  TimePoint alarm_at{};
  TaskSet tasks;  // goes first
};

void Webhook::Impl::add(const Event& event) {
  if (queue.size() >= kMaxQueued) {
    const auto oldest = std::find_if(queue.begin(), queue.end(),
                                     [](const Delivery& one) { return !one.under_way; });
    queue.erase(oldest);  // there is one: fewer are under way
    counts.dropped.add();
    log.error("webhook_dropped", "too many events wait for the webhook: the oldest are dropped");
  }
  Delivery delivery;
  delivery.id = ids.next();
  delivery.kind = event.kind;
  delivery.body = event_json(event, delivery.id);
  delivery.due = clock.now();
  delivery.give_up = clock.now() + kGiveUp;
  queue.push_back(std::move(delivery));
  wake_at(clock.now());
}

void Webhook::Impl::wake_at(TimePoint at) {
  const TimePoint then = std::max(at, clock.now());
  if (alarm != nullptr && alarm_at <= then) return;
  alarm_at = then;
  alarm = clock.after(then - clock.now(), [this] { pump(); });
}

// Only from the loop: a request may fail at once, and a queue of them must not nest.
void Webhook::Impl::pump() {
  const Alarm running = std::move(alarm);
  const TimePoint now = clock.now();
  if (now < hold_until) return wake_at(hold_until);
  while (under_way < (failures > 0 ? 1 : kMaxAtOnce)) {
    Delivery* const delivery = next_due(now);
    if (delivery == nullptr) break;
    delivery->under_way = true;
    ++under_way;
    tasks.spawn(deliver(*this, *delivery));
  }
  // Those that are due wait for one that is under way, whose end calls us.
  TimePoint next = TimePoint::max();
  for (const Delivery& one : queue) {
    if (!one.under_way && one.due > now) next = std::min(next, one.due);
  }
  if (next != TimePoint::max()) wake_at(next);
}

Webhook::Delivery* Webhook::Impl::next_due(TimePoint now) {
  Delivery* least = nullptr;
  for (Delivery& one : queue) {
    if (one.under_way || one.due > now) continue;
    if (failures == 0 || one.tries < kPatience) return &one;
    if (least == nullptr || one.tries < least->tries) least = &one;
  }
  return least;
}

HttpRequest Webhook::Impl::request_for(const Delivery& delivery) const {
  HttpRequest request;
  request.method = "POST";
  request.url = config.url;
  request.body = delivery.body;
  request.timeout = config.timeout;
  request.max_body = kMaxReply;
  request.truncate_body = true;
  request.http_on_loopback_only = false;  // the operator's choice: it holds nothing secret
  const std::string at = std::to_string(clock.wall_now().time_since_epoch().count());
  request.headers = {{"content-type", "application/json"},
                     {"x-latchkey-event", delivery.kind},
                     {"x-latchkey-delivery", delivery.id},
                     {"x-latchkey-timestamp", at}};
  if (!secret.empty()) {
    request.headers.emplace_back("x-latchkey-signature",
                                 signature(secret, at + "." + delivery.body));
  }
  return request;
}

Task<> Webhook::Impl::deliver(Impl& self, Delivery& delivery) {
  HttpRequest request = self.request_for(delivery);
  Task<HttpReply> sending = self.http.send(std::move(request));
  const Result<HttpReply> reply = co_await std::move(sending).result();
  self.finish(delivery, reply);
  co_return Unit{};
}

void Webhook::Impl::finish(Delivery& delivery, const Result<HttpReply>& reply) {
  --under_way;
  delivery.under_way = false;
  ++delivery.tries;
  const Answer answer = judge(reply);
  if (answer == Answer::kAgain) {
    if (!try_again(delivery, reply)) forget(delivery);
    return wake_at(clock.now());
  }
  failures = 0;  // it is there, and answers
  hold_until = TimePoint::min();
  if (answer == Answer::kDelivered) {
    counts.delivered.add();
  } else {
    counts.given_up.add();
    log.error("webhook_given_up",
              "the webhook will never know of an event: " + url_without_secrets(config.url) + ": " +
                  cause_of(reply),
              {{"kind", delivery.kind}, {"delivery", delivery.id}});
  }
  forget(delivery);
  wake_at(clock.now());
}

bool Webhook::Impl::try_again(Delivery& delivery, const Result<HttpReply>& reply) {
  const TimePoint now = clock.now();
  Millis asked{0};
  if (reply) {
    asked = parse_retry_after(reply->header("retry-after"), clock.wall_now()).value_or(Millis(0));
  }
  // Several that were under way together fail for one reason.
  if (now >= hold_until) hold_until = now + pause_after(++failures);
  hold_until = std::max(hold_until, now + asked);
  delivery.due = now + std::max(pause_after(delivery.tries), asked);
  const std::string what = url_without_secrets(config.url) + ": " + cause_of(reply);
  if (delivery.due > delivery.give_up) {
    counts.given_up.add();
    log.error("webhook_given_up", "the webhook was not told of an event within a day: " + what,
              {{"kind", delivery.kind}, {"delivery", delivery.id}, {"tries", delivery.tries}});
    return false;
  }
  counts.retried.add();
  log.warning("webhook_failed", "the webhook was not told of an event, it is tried again: " + what,
              {{"kind", delivery.kind}, {"delivery", delivery.id}, {"tries", delivery.tries}});
  return true;
}

Webhook::Webhook(WebhookConfig config, std::string secret, HttpClient& http, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(secret), http, clock, log,
                                   counts_)) {}

Webhook::~Webhook() {
  if (impl_->queue.empty()) return;
  impl_->log.warning("webhook_undelivered", "events that the webhook does not know of are lost",
                     {{"events", impl_->queue.size()}});
}

void Webhook::tell(const Event& event) {
  const std::vector<std::string>& kinds = impl_->config.kinds;
  const bool wanted =
      kinds.empty() || std::find(kinds.begin(), kinds.end(), event.kind) != kinds.end();
  if (wanted) impl_->add(event);
}

size_t Webhook::queued() const {
  return impl_->queue.size();
}

}  // namespace latchkey::edge
