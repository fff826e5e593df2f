#include "acme/authority/authorization_requests.h"

#include "acme/authority/order_requests.h"
#include "acme/authority/server_payload.h"

namespace latchkey::acme {
namespace {

constexpr std::chrono::seconds kPollAfter{1};
constexpr Millis kWatch{1'000};          // how long a request waits for a look that is under way
constexpr Millis kMaxWait{10 * 60'000};  // of a look for its place

// One more look, until it ends, whatever ends it.
class Counted {
 public:
  using PerAccount = std::unordered_map<std::string, size_t>;

  Counted(size_t& all, PerAccount& per_account, std::string account)
      : all_(all), per_account_(per_account), account_(std::move(account)) {
    ++all_;
    ++per_account_[account_];
  }
  Counted(const Counted&) = delete;
  ~Counted() {
    --all_;
    const auto own = per_account_.find(account_);
    if (--own->second == 0) per_account_.erase(own);
  }

 private:
  size_t& all_;
  PerAccount& per_account_;
  const std::string account_;
};

std::string problem_of(const ValidationResult& result) {
  if (result.valid) return {};
  ServerProblem problem{400, result.type, result.detail};
  if (result.type == problem_type::kUnauthorized) problem.status = 403;
  return problem.document();
}

ServerProblem finalizing() {
  ServerProblem problem = rate_limited("the order's certificate is being made", kPollAfter);
  problem.status = 503;
  return problem;
}

}  // namespace

Task<Judged<LiveOrderPtr>> AuthorizationRequests::find(ServerRoute route,
                                                       ServerAccountPtr account) {
  Judged<LiveOrderPtr> order = co_await own_order(context_, route.id, account);
  if (order && route.index >= (*order)->order.authorizations.size()) {
    co_return unknown("there is no such authorization");
  }
  co_return order;
}

void AuthorizationRequests::resume(const ServerCall& call, const LiveOrderPtr& live) {
  const ServerAuthorization& one = live->order.authorizations[call.route.index];
  if (one.looking || one.status != AuthorizationStatus::kPending) return;
  for (const ServerChallenge& challenge : one.challenges) {
    if (challenge.status != ChallengeStatus::kProcessing) continue;
    if (!has_room(live->order.account)) return;
    look(call, live, challenge.type);
    return;
  }
}

bool AuthorizationRequests::has_room(const std::string& account) const {
  const auto own = looks_of_.find(account);
  return looks_ < kMaxWaiting && (own == looks_of_.end() || own->second < kMaxOfAccount);
}

Task<> AuthorizationRequests::wait_for_look(LiveOrderPtr live, size_t index) {
  if (live->order.authorizations[index].looking) co_await context_.orders.watch(live, kWatch);
  co_return Unit{};
}

Task<ServerAnswer> AuthorizationRequests::authorization(ServerCall call) {
  const ServerRoute route = call.route;
  Judged<LiveOrderPtr> found = co_await find(route, call.account);
  if (!found) co_return std::move(found).problem();
  const LiveOrderPtr live = *found;
  const size_t index = call.route.index;
  if (!call.is_read()) {
    if (Judged<> payload = read_deactivation(call.payload); !payload) {
      co_return std::move(payload).problem();
    }
    ServerAuthorization& one = live->order.authorizations[index];
    const AuthorizationStatus is = live->order.status_at(one, context_.clock.wall_now());
    if (is != AuthorizationStatus::kPending && is != AuthorizationStatus::kValid) {
      co_return malformed("the authorization is neither pending nor valid");
    }
    if (live->order.finalizing) co_return finalizing();
    one.status = AuthorizationStatus::kDeactivated;
    live->order.settle();
    co_await context_.orders.save(live);
  } else {
    resume(call, live);
    co_await wait_for_look(live, index);
  }
  HttpReply reply = json_reply(
      200, live->order.authorization_object(call.route.base, index, context_.clock.wall_now()));
  if (live->order.authorizations[index].looking) {
    set_header(reply, "retry-after", std::to_string(kPollAfter.count()));
  }
  co_return ServerAnswer(std::move(reply));
}

ServerAnswer AuthorizationRequests::challenge_answer(const ServerCall& call,
                                                     const LiveOrder& live) const {
  const size_t index = call.route.index;
  const std::string& base = call.route.base;
  for (const ServerChallenge& one : live.order.authorizations[index].challenges) {
    if (one.type != call.route.type) continue;
    HttpReply reply = json_reply(200, live.order.challenge_object(base, index, one));
    add_link(reply, authorization_url(base, live.order.id, index), "up");
    if (one.status == ChallengeStatus::kProcessing) {
      set_header(reply, "retry-after", std::to_string(kPollAfter.count()));
    }
    return reply;
  }
  return unknown("the authorization has no challenge of that type");
}

Task<ServerAnswer> AuthorizationRequests::challenge(ServerCall call) {
  const ServerRoute route = call.route;
  Judged<LiveOrderPtr> found = co_await find(route, call.account);
  if (!found) co_return std::move(found).problem();
  const LiveOrderPtr live = *found;
  if (call.is_read()) {
    resume(call, live);
    co_await wait_for_look(live, call.route.index);
    co_return challenge_answer(call, *live);
  }
  if (Judged<> payload = read_challenge_answer(call.payload); !payload) {
    co_return std::move(payload).problem();
  }
  Judged<> begun = co_await begin(call, live);
  if (!begun) co_return std::move(begun).problem();
  co_return challenge_answer(call, *live);
}

Task<Judged<>> AuthorizationRequests::begin(ServerCall call, LiveOrderPtr live) {
  ServerAuthorization& one = live->order.authorizations[call.route.index];
  ServerChallenge* const challenge = one.challenge(call.route.type);
  if (challenge == nullptr) {
    co_return Judged<>(unknown("the authorization has no challenge of that type"));
  }
  // Answered before: the client has lost our answer, or tells us again.
  if (challenge->status == ChallengeStatus::kProcessing ||
      challenge->status == ChallengeStatus::kValid) {
    resume(call, live);
    co_return Judged<>(Unit{});
  }
  const WallTime now = context_.clock.wall_now();
  if (live->order.status_at(one, now) != AuthorizationStatus::kPending) {
    co_return Judged<>(malformed("the authorization is not pending any more; make a new order"));
  }
  if (one.looking || challenge->status == ChallengeStatus::kInvalid) {
    co_return Judged<>(malformed("another challenge of this authorization is being looked at"));
  }
  if (context_.options.trusting) {
    conclude(one, call.route.type, "", now);
    live->order.settle();
    co_await context_.orders.save(live);
    co_return Judged<>(Unit{});
  }
  if (!has_room(live->order.account)) {
    co_return Judged<>(rate_limited("too many validations are under way", kPollAfter * 5));
  }
  challenge->status = ChallengeStatus::kProcessing;
  look(call, live, call.route.type);
  if (one.looking) co_await context_.orders.save(live);
  co_return Judged<>(Unit{});
}

void AuthorizationRequests::look(const ServerCall& call, const LiveOrderPtr& live,
                                 ChallengeType type) {
  ServerAuthorization& one = live->order.authorizations[call.route.index];
  one.looking = true;
  Validation what{type, one.name, one.token, one.token + "." + call.account->key.thumbprint()};
  what.http_port = context_.options.http_port;
  what.tls_port = context_.options.tls_port;
  tasks_.spawn(looking(live, call.route.index, std::move(what)));
}

Task<> AuthorizationRequests::looking(LiveOrderPtr live, size_t index, Validation what) {
  const Counted counted(looks_, looks_of_, live->order.account);
  const ChallengeType type = what.type;
  ValidationResult result{false, std::string(problem_type::kServerInternal),
                          "too many validations were under way; make a new order"};
  const Result<Turnstile::Pass> place = co_await places_.enter(kMaxWait).result();
  if (place) result = co_await validate(std::move(what), context_.probes, context_.clock);
  ServerAuthorization& one = live->order.authorizations[index];
  conclude(one, type, problem_of(result), context_.clock.wall_now());
  if (!result.valid) {
    const std::string key = live->order.account + " " + one.identifier().text();
    static_cast<void>(context_.limits.failures.take(key, context_.clock.now()));
    context_.log.info("acme_validation_failed", "a challenge was not met",
                      {{"authority", context_.name()},
                       {"account", live->order.account},
                       {"name", one.identifier().text()},
                       {"challenge", to_string(type)},
                       {"error", result.detail}});
  }
  live->order.settle();
  one.looking = false;
  co_await context_.orders.save(live);
  co_return Unit{};
}

}  // namespace latchkey::acme
