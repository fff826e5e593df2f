#include "policy/ask_endpoint.h"

#include <algorithm>

#include "base/json.h"
#include "base/link.h"
#include "base/pending.h"

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

// Lets so many through at a time, in the order in which they came.
class AskEndpoint::Turnstile {
 public:
  // Whoever is inside, or waits to get in. Destroying it leaves.
  class Place : public Link {
   public:
    Place(Turnstile& turnstile, Millis patience) : turnstile_(turnstile) {
      if (turnstile_.try_enter()) {
        inside_ = true;
        turn.resolve(Unit{});
        return;
      }
      turnstile_.queue_.push_back(*this);
      patience_ = turnstile_.clock_.after(patience, [this] {
        unlink();
        turn.resolve(Error{ErrorCode::kTimeout, "no free place among those that ask at once"});
      });
    }
    ~Place() {
      if (inside_) turnstile_.leave();
    }

    Pending<> turn;

   private:
    friend class Turnstile;

    Turnstile& turnstile_;
    bool inside_ = false;
    Alarm patience_;
  };

  Turnstile(Clock& clock, size_t places) : clock_(clock), free_(places) {}

 private:
  bool try_enter() {
    if (free_ == 0 || !queue_.alone()) return false;
    --free_;
    return true;
  }

  // The next one enters on a later turn of the loop: who leaves may be about to be destroyed, and
  // must not run others meanwhile.
  void leave() {
    ++free_;
    if (!queue_.alone() && bell_ == nullptr) {
      bell_ = clock_.after(Millis(0), [this] { admit(); });
    }
  }

  void admit() {
    bell_ = nullptr;
    Link admitted;  // on our stack: those who enter may do anything, also to us
    while (free_ > 0 && !queue_.alone()) {
      auto& place = static_cast<Place&>(queue_.next());
      --free_;
      place.inside_ = true;
      place.patience_ = nullptr;
      admitted.push_back(place);
    }
    while (!admitted.alone()) {
      auto& place = static_cast<Place&>(admitted.next());
      place.unlink();
      place.turn.resolve(Unit{});
    }
  }

  Clock& clock_;
  size_t free_;
  Link queue_;  // of Place, the longest wait first
  Alarm bell_;  // set while somebody may enter
};

AskEndpoint::AskEndpoint(Options options, HttpClient& http, Clock& clock, Log& log)
    : options_(std::move(options)),
      shown_(without_secrets(options_.url)),
      http_(http),
      clock_(clock),
      log_(log),
      turnstile_(std::make_unique<Turnstile>(clock, std::max<size_t>(1, options_.max_concurrent))) {
}

AskEndpoint::~AskEndpoint() = default;

Task<Decision> AskEndpoint::ask(ServerName name) {
  const TimePoint deadline = clock_.now() + options_.timeout;
  Turnstile::Place place(*turnstile_, options_.timeout);
  const Result<> entered = co_await place.turn;
  const Millis left = deadline - clock_.now();
  if (!entered || left <= Millis(0)) {
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
