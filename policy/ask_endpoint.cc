#include "policy/ask_endpoint.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/retry_after.h"
#include "base/url.h"
#include "policy/ask_answer.h"

namespace latchkey {
namespace {

constexpr size_t kMaxBody = 16 << 10;  // what follows is not read
constexpr Millis kLongestHold = std::chrono::minutes(5);

// What helps when the answer says neither yes nor no; null when it says one of them.
const char* remedy_for(int status) {
  switch (status) {
    case 401:
    case 407:
      return "it wants credentials: check on_demand.ask.token_file";
    case 405:
      return "it must accept GET: check on_demand.ask.url";
    case 408:
    case 425:
    case 429:
      return "it is overloaded or throttles us: raise its limits, or lower "
             "on_demand.ask.max_concurrent";
    default:
      break;
  }
  if (status >= 500 && status < 600) return "it is failing: look at its log";
  if (status >= 300 && status < 400) {
    return "redirects are not followed: set on_demand.ask.url to the final address";
  }
  if (status < 200 || status >= 600) return "this is no final HTTP status: check on_demand.ask.url";
  return nullptr;
}

const char* remedy_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kTimeout:
      return "make it answer faster, or raise on_demand.ask.timeout";
    case ErrorCode::kInvalid:
    case ErrorCode::kProtocol:
      return "check on_demand.ask.url";
    default:
      return "check that it runs, that it can be reached from here, and on_demand.ask.url";
  }
}

// Cache-Control may come in several lines.
std::optional<Millis> max_age_of(const HttpReply& reply) {
  std::string all;
  for (const auto& [name, value] : reply.headers) {
    if (name == "cache-control") all += value + ",";
  }
  return cache_control_max_age(all);
}

// A probe every few seconds, but never two at once.
Breaker::Options breaker_of(const AskEndpoint::Options& options) {
  Breaker::Options breaker = options.breaker;
  breaker.probe_every = std::max(breaker.probe_every, options.timeout);
  return breaker;
}

}  // namespace

std::string_view to_string(AskReason reason) {
  switch (reason) {
    case AskReason::kIssue:
      return "issue";
    case AskReason::kRenew:
      return "renew";
    case AskReason::kServe:
      break;
  }
  return "serve";
}

AskEndpoint::AskEndpoint(Options options, HttpClient& http, Clock& clock, Log& log)
    : options_(std::move(options)),
      shown_(url_without_secrets(options_.url)),
      http_(http),
      clock_(clock),
      log_(log),
      turnstile_(clock, std::max<size_t>(1, options_.max_concurrent)),
      breaker_(breaker_of(options_)) {}

Task<AskOutcome> AskEndpoint::ask(ServerName name, AskReason reason) {
  if (!breaker_.admits(clock_.now())) co_return not_now();
  const TimePoint deadline = clock_.now() + options_.timeout;
  Task<Turnstile::Pass> entering = turnstile_.enter(options_.timeout);
  const Result<Turnstile::Pass> pass = co_await std::move(entering).result();
  const Millis left = deadline - clock_.now();
  if (!pass || left <= Millis(0)) {
    counts_.unknown.add();
    std::string why = std::to_string(options_.max_concurrent) +
                      " questions are open and none was answered in " +
                      show_duration(options_.timeout);
    log_.error("ask_failed",
               why +
                   ": make it answer faster, or raise on_demand.ask.max_concurrent or "
                   "on_demand.ask.timeout",
               {{"endpoint", shown_}, {"domain", name.text()}});
    co_return unknown(std::move(why));
  }
  // It may have opened while we waited; and a probe's permit must not wait in the queue.
  if (!breaker_.admit(clock_.now())) co_return not_now();
  counts_.calls.add();
  HttpRequest request = request_for(name, reason, left);
  Task<HttpReply> exchange = http_.send(std::move(request));
  const Result<HttpReply> reply = co_await std::move(exchange).result();
  if (reply) co_return judge(name, *reply);
  // Without a fair share of the time its silence proves nothing.
  const bool fair = reply.error().code != ErrorCode::kTimeout || 2 * left >= options_.timeout;
  if (fair) falls_short();
  co_return failed(name, reply.error().message, remedy_for(reply.error().code));
}

HttpRequest AskEndpoint::request_for(const ServerName& name, AskReason reason,
                                     Millis timeout) const {
  HttpRequest request;
  std::string& url = request.url;
  url = options_.url.substr(0, options_.url.find('#'));
  if (url.find('?') == std::string::npos) {
    url += '?';
  } else if (url.back() != '?' && url.back() != '&') {
    url += '&';
  }
  url += "domain=" + name.text();
  if (options_.send_reason) url += "&reason=" + std::string(to_string(reason));
  request.timeout = timeout;
  request.max_body = kMaxBody;
  request.truncate_body = true;
  request.http_on_loopback_only = false;  // the operator's own network, by the operator's word
  if (!options_.bearer_token.empty()) {
    request.headers.emplace_back("Authorization", "Bearer " + options_.bearer_token);
  }
  return request;
}

AskOutcome AskEndpoint::judge(const ServerName& name, const HttpReply& reply) {
  const int status = reply.status;
  std::string answered = "the ask endpoint answered " + std::to_string(status);
  if (const char* const remedy = remedy_for(status)) {
    falls_short();
    if (status == 429 || status == 503) {
      const auto wait = parse_retry_after(reply.header("retry-after"), clock_.wall_now());
      if (wait) breaker_.hold(clock_.now() + std::min(*wait, kLongestHold));
    }
    return failed(name, std::move(answered), remedy, status);
  }
  answers();
  if (status < 300) return allowed(name, reply);
  counts_.denied.add();
  AskOutcome outcome;
  outcome.decision.verdict = Verdict::kDeny;
  outcome.decision.reason = std::move(answered);
  outcome.ttl = max_age_of(reply);
  outcome.status = status;
  return outcome;
}

AskOutcome AskEndpoint::allowed(const ServerName& name, const HttpReply& reply) {
  counts_.allowed.add();
  AskAnswer answer = parse_ask_answer(reply.body, reply.header("content-type"));
  if (!answer.complaint.empty()) {
    counts_.bad_answers.add();
    log_.warning("ask_bad_answer",
                 "the ask endpoint allows the name, but its answer is wrong: " + answer.complaint,
                 {{"endpoint", shown_}, {"domain", name.text()}});
  }
  AskOutcome outcome;
  outcome.decision.verdict = Verdict::kAllow;
  outcome.decision.reason = "the ask endpoint answered " + std::to_string(reply.status);
  if (answer.grant != Grant{}) {
    outcome.decision.grant = std::make_shared<const Grant>(std::move(answer.grant));
  }
  outcome.ttl = answer.ttl ? answer.ttl : max_age_of(reply);
  outcome.status = reply.status;
  return outcome;
}

AskOutcome AskEndpoint::failed(const ServerName& name, std::string why, std::string_view remedy,
                               int status) {
  counts_.unknown.add();
  // A probe that fails like the last one is no news.
  if (!told_ || why != told_why_) {
    told_why_ = why;
    log_.error("ask_failed", why + ": " + std::string(remedy),
               {{"endpoint", shown_}, {"domain", name.text()}});
  }
  if (out_of_order() && !told_) {
    told_ = true;
    told_at_ = clock_.now();
    log_.error(
        "ask_unavailable",
        "the ask endpoint is out of order (" + why +
            "): names that it has allowed go on, new ones are refused; it is tried again in " +
            show_duration(breaker_.wait(clock_.now())),
        {{"endpoint", shown_}});
  }
  AskOutcome outcome = unknown(std::move(why));
  outcome.status = status;
  return outcome;
}

AskOutcome AskEndpoint::unknown(std::string why) const {
  AskOutcome outcome;
  outcome.decision.verdict = Verdict::kUnknown;
  outcome.decision.reason = std::move(why);
  outcome.decision.retry_after = breaker_.wait(clock_.now());
  return outcome;
}

AskOutcome AskEndpoint::not_now() {
  counts_.unknown.add();
  counts_.not_asked.add();
  return unknown("the ask endpoint is out of order: " + told_why_);
}

void AskEndpoint::falls_short() {
  // Probes go by the clock, whatever comes of questions from before.
  if (!breaker_.open()) breaker_.failed(clock_.now());
}

void AskEndpoint::answers() {
  breaker_.succeeded();
  if (!told_ || out_of_order()) return;
  told_ = false;
  const auto silent = std::chrono::floor<std::chrono::seconds>(clock_.now() - told_at_);
  log_.info("ask_available",
            "the ask endpoint answers again, after " + show_duration(Millis(silent)),
            {{"endpoint", shown_}});
}

}  // namespace latchkey
