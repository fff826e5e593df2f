#include "acme/authority/authorization_requests.h"

#include "acme/authority/order_requests.h"
#include "acme/authority/server_payload.h"

namespace latchkey::acme {
namespace {

constexpr std::chrono::seconds kPollAfter{1};
constexpr Millis kWatch{1'000};          // how long a request waits for a look that is under way
constexpr Millis kMaxWait{10 * 60'000};  // of a look for its place

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

void AuthorizationRequests::resume(const LiveOrderPtr& live, size_t index,
                                   const ServerAccountPtr& account) {
  const ServerAuthorization& one = live->order.authorizations[index];
  if (one.looking || one.status != AuthorizationStatus::kPending) return;
  for (const ServerChallenge& challenge : one.challenges) {
    if (challenge.status != ChallengeStatus::kProcessing) continue;
    if (has_room(account->id)) look(live, index, challenge.type, account);
    return;
  }
}

void AuthorizationRequests::resume(const LiveOrderPtr& live, const ServerAccountPtr& account) {
  if (live->order.status != OrderStatus::kPending) return;
  for (size_t i = 0; i < live->order.authorizations.size(); ++i) resume(live, i, account);
}

Task<> AuthorizationRequests::wait_for_look(LiveOrderPtr live, size_t index) {
  const bool wait = live->order.authorizations[index].looking || live->unsaved > 0;
  const std::string& account = live->order.account;
  if (!wait || polls_.of(account) >= kMaxPolls) co_return Unit{};
  const Tally::One counted(polls_, account);
  co_await context_.orders.watch(live, kWatch);
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
    resume(live, index, call.account);
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
    resume(live, call.route.index, call.account);
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
    resume(live, call.route.index, call.account);
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
  look(live, call.route.index, call.route.type, call.account);
  if (one.looking) co_await context_.orders.save(live);
  co_return Judged<>(Unit{});
}

bool AuthorizationRequests::has_room(const std::string& account) const {
  return looks_.total() < kMaxWaiting && looks_.of(account) < kMaxOfAccount;
}

void AuthorizationRequests::look(const LiveOrderPtr& live, size_t index, ChallengeType type,
                                 const ServerAccountPtr& account) {
  ServerAuthorization& one = live->order.authorizations[index];
  one.looking = true;
  Validation what{type, one.name, one.token, one.token + "." + account->key.thumbprint()};
  what.http_port = context_.options.http_port;
  what.tls_port = context_.options.tls_port;
  tasks_.spawn(looking(live, index, std::move(what)));
}

void AuthorizationRequests::looked(LiveOrder& live, size_t index, ChallengeType type,
                                   const ValidationResult& result) {
  ServerAuthorization& one = live.order.authorizations[index];
  conclude(one, type, problem_of(result), context_.clock.wall_now());
  live.order.settle();
  if (result.valid) return;
  const std::string key = live.order.account + " " + one.identifier().text();
  static_cast<void>(context_.limits.failures.take(key, context_.clock.now()));
  context_.log.info("acme_validation_failed", "a challenge was not met",
                    {{"authority", context_.name()},
                     {"account", live.order.account},
                     {"name", one.identifier().text()},
                     {"challenge", to_string(type)},
                     {"error", result.detail}});
}

Task<> AuthorizationRequests::looking(LiveOrderPtr live, size_t index, Validation what) {
  const Tally::One counted(looks_, live->order.account);
  const ChallengeType type = what.type;
  Result<Turnstile::Pass> place = co_await places_.enter(kMaxWait).result();
  ServerAuthorization& one = live->order.authorizations[index];
  if (place && !live->forgotten) {
    const ValidationResult result =
        co_await validate(std::move(what), context_.probes, context_.clock);
    looked(*live, index, type, result);
  } else {
    one.challenge(type)->status = ChallengeStatus::kPending;  // it can be answered again
  }
  one.looking = false;
  if (place) *place = Turnstile::Pass();  // the next look need not wait for the disk
  const Result<> saved = co_await context_.orders.save(live).result();
  if (!saved) {
    context_.log.error("acme_validation_not_stored",
                       "the outcome of a validation could not be stored; the next request for it "
                       "looks again",
                       {{"authority", context_.name()},
                        {"order", live->order.id},
                        {"error", saved.error().message}});
  }
  co_return Unit{};
}

}  // namespace latchkey::acme
