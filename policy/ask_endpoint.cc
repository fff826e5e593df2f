#include "policy/ask_endpoint.h"

#include <algorithm>

#include "base/json.h"

namespace latchkey {
namespace {

constexpr size_t kMaxBody = 16 << 10;  // what follows is not read

std::string without_secrets(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = url.find("://");
  const size_t host = scheme == url.npos ? 0 : scheme + 3;
  const size_t path = url.find('/', host);
  const size_t at = url.substr(0, path).rfind('@');
  if (at == url.npos || at < host) return std::string(url);
  return std::string(url.substr(0, host)) + std::string(url.substr(at + 1));
}

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

}  // namespace

AskEndpoint::AskEndpoint(Options options, HttpClient& http, Clock& clock, Log& log)
    : options_(std::move(options)),
      shown_(without_secrets(options_.url)),
      http_(http),
      clock_(clock),
      log_(log),
      turnstile_(clock, std::max<size_t>(1, options_.max_concurrent)) {}

Task<Decision> AskEndpoint::ask(ServerName name) {
  const TimePoint deadline = clock_.now() + options_.timeout;
  Task<Turnstile::Pass> entering = turnstile_.enter(options_.timeout);
  const Result<Turnstile::Pass> pass = co_await std::move(entering).result();
  const Millis left = deadline - clock_.now();
  if (!pass || left <= Millis(0)) {
    const std::string why = std::to_string(options_.max_concurrent) +
                            " questions are open and none was answered in " +
                            show_duration(options_.timeout);
    const std::string remedy =
        "make it answer faster, or raise on_demand.ask.max_concurrent or on_demand.ask.timeout";
    co_return unknown(name, why, remedy);
  }
  HttpRequest request;
  request.url = url_for(name);
  request.timeout = left;
  request.max_body = kMaxBody;
  request.truncate_body = true;
  request.http_on_loopback_only = false;  // the operator's own network, by the operator's word
  if (!options_.bearer_token.empty()) {
    request.headers.emplace_back("Authorization", "Bearer " + options_.bearer_token);
  }
  counts_.calls.add();
  Task<HttpReply> exchange = http_.send(std::move(request));
  const Result<HttpReply> reply = co_await std::move(exchange).result();
  co_return judge(name, reply);
}

std::string AskEndpoint::url_for(const ServerName& name) const {
  std::string url = options_.url.substr(0, options_.url.find('#'));
  if (url.find('?') == std::string::npos) {
    url += '?';
  } else if (url.back() != '?' && url.back() != '&') {
    url += '&';
  }
  url += "domain=" + name.text();
  if (options_.send_reason) url += "&reason=issue";
  return url;
}

Decision AskEndpoint::judge(const ServerName& name, const Result<HttpReply>& reply) {
  if (!reply) {
    return unknown(name, reply.error().message, remedy_for(reply.error().code));
  }
  const std::string answered = "the ask endpoint answered " + std::to_string(reply->status);
  if (const char* remedy = remedy_for(reply->status)) return unknown(name, answered, remedy);
  if (reply->status < 300) {
    counts_.allowed.add();
    return {Verdict::kAllow, answered};
  }
  counts_.denied.add();
  return {Verdict::kDeny, answered};
}

Decision AskEndpoint::unknown(const ServerName& name, const std::string& why,
                              const std::string& remedy) {
  counts_.unknown.add();
  log_.error("ask_failed", why + ": " + remedy, {{"endpoint", shown_}, {"domain", name.text()}});
  return {Verdict::kUnknown, why};
}

}  // namespace latchkey
