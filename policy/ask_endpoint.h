#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/turnstile.h"
#include "policy/verdict.h"

namespace latchkey {

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
    bool send_reason = false;    // adds reason=issue
  };
  struct Counts {
    Counter calls, allowed, denied, unknown;
  };

  AskEndpoint(Options options, HttpClient& http, Clock& clock, Log& log);

  // Never fails. Questions wait their turn first come, first served; how many may do so is bounded
  // by who asks. Dropping the task gives up its place.
  // 2xx: kAllow. 400, 403, 404, 410 and other 4xx: kDeny. 3xx, 401, 405, 407, 408, 425, 429, 5xx,
  // timeout, no connection, garbage: kUnknown, with one rate-limited error line that names the
  // remedy.
  Task<Decision> ask(ServerName name);

  const Counts& counts() const { return counts_; }

 private:
  std::string url_for(const ServerName& name) const;
  Decision judge(const ServerName& name, const Result<HttpReply>& reply);
  Decision unknown(const ServerName& name, const std::string& why, const std::string& remedy);

  Options options_;
  std::string shown_;  // the URL without user, password and query
  HttpClient& http_;
  Clock& clock_;
  Log& log_;
  Counts counts_;
  Turnstile turnstile_;
};

}  // namespace latchkey
