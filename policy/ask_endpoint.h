#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/turnstile.h"
#include "policy/verdict.h"

namespace latchkey {

enum class AskReason { kIssue, kRenew, kServe };

std::string_view to_string(AskReason reason);  // as it is sent

// What one question came to.
struct AskOutcome {
  Decision decision;  // .source is kAsk; .fresh_until is not set
  std::optional<Millis>
      ttl{};       // that the endpoint gave to its yes (ttl, or max-age) or no (max-age)
  int status = 0;  // of the HTTP answer; 0: there was none
};

// The operator's HTTP question, by Caddy's contract: GET <url> with domain=<name> added to the
// existing query; any 2xx allows; redirects are not followed. Control thread. Its tasks must be
// gone before it is.
class AskEndpoint {
 public:
  struct Options {
    std::string url{};
    Millis timeout{2000};
    size_t max_concurrent = 32;  // further questions wait their turn, within the timeout
    std::string bearer_token{};  // a secret; "" for none
    bool send_reason = false;    // adds reason=issue|renew|serve
    Breaker::Options breaker{};  // 5 unknowns in a row open it, every 2 s one may try
  };
  struct Counts {
    Counter calls, allowed, denied, unknown;
    Counter not_asked;    // for the breaker; these are unknown, too
    Counter bad_answers;  // a 2xx with a body that could not be used
  };

  AskEndpoint(Options options, HttpClient& http, Clock& clock, Log& log);

  // Never fails. Questions wait their turn first come, first served; how many may do so is bounded
  // by who asks. Dropping the task gives up its place.
  // 2xx: kAllow. 400, 403, 404, 410 and other 4xx: kDeny. 3xx, 401, 405, 407, 408, 425, 429, 5xx,
  // timeout, no connection, garbage: kUnknown, with one rate-limited error line that names the
  // remedy. While the breaker is open, or the Retry-After (at most 5 min) of a 429 or 503 runs:
  // kUnknown at once, without a call; .retry_after says how long.
  Task<AskOutcome> ask(ServerName name, AskReason reason = AskReason::kIssue);

  // Is it known to be out of order, or has it told us to stay away, just now?
  bool out_of_order() const { return breaker_.open() || breaker_.held(clock_.now()); }
  const std::string& shown_url() const { return shown_; }  // without user, password and query
  const Counts& counts() const { return counts_; }

 private:
  HttpRequest request_for(const ServerName& name, AskReason reason, Millis timeout) const;
  AskOutcome judge(const ServerName& name, const HttpReply& reply);
  AskOutcome allowed(const ServerName& name, const HttpReply& reply);
  AskOutcome failed(const ServerName& name, std::string why, std::string_view remedy,
                    int status = 0);
  AskOutcome unknown(std::string why) const;
  AskOutcome not_now();
  void falls_short();  // it has given no answer, or none that can be used
  void answers();      // it has given a yes or a no

  Options options_;
  std::string shown_;
  HttpClient& http_;
  Clock& clock_;
  Log& log_;
  Counts counts_;
  Turnstile turnstile_;
  Breaker breaker_;
  bool told_ = false;     // "ask_unavailable" is in the log, "ask_available" not yet
  TimePoint told_at_{};   // since when
  std::string told_why_;  // the last reason that is in the log
};

}  // namespace latchkey
