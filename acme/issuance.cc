#include "acme/issuance.h"

#include <algorithm>
#include <utility>

namespace latchkey::acme {
namespace {

constexpr Millis kSlowestPace{5000};
constexpr Millis kSlowAfter{30'000};

struct Context {
  Ca& ca;
  Clock& clock;
  ChallengeTable& challenges;
  const IssuanceRequest request;
  IssuanceReport& report;
};

Error given_up(const GiveUp& why, IssuanceReport& report) {
  if (why.problem) report.problem = why.problem;
  return why.why;
}

// Waits before the next poll of `url`.
Task<> pause(Context& context, Pace& pace, std::optional<Millis> retry_after, std::string url) {
  const Millis delay = pace.next(retry_after);
  if (retry_after && context.clock.now() + delay >= context.request.deadline) {
    co_return Error{ErrorCode::kTimeout,
                    url + ": the CA asks us to come back in " +
                        std::to_string(delay.count() / 1000) + " s, which is after our time limit",
                    *retry_after};
  }
  co_await sleep(context.clock, delay);
  co_return Unit{};
}

Result<ChallengeTable::Offer> offer(Context& context, const Challenge& challenge) {
  std::string answer = context.ca.key_authorization(challenge.token);
  if (challenge.type == ChallengeType::kTlsAlpn01) {
    return context.challenges.offer_tls_alpn(context.request.name, answer);
  }
  return context.challenges.offer_http(context.request.name, challenge.token, std::move(answer));
}

Task<> prove(Context& context, std::string url) {
  ChallengeTable::Offer offered;
  bool answered = false;
  for (Pace pace(context.request.first_poll);;) {
    context.report.stage = "reading the authorization " + url;
    const Authorization authorization = co_await context.ca.fetch_authorization(url);
    const ProofStep step =
        next_step(authorization, context.request.name, context.request.types, answered);
    if (std::holds_alternative<Proven>(step)) co_return Unit{};
    if (const auto* give_up = std::get_if<GiveUp>(&step)) {
      context.report.proof_failed = answered;
      co_return given_up(*give_up, context.report);
    }
    if (const auto* answer = std::get_if<Answer>(&step)) {
      offered = co_await or_fail(offer(context, answer->challenge));
      context.report.answered = answer->challenge.type;
      context.report.stage = "answering the challenge " + answer->challenge.url;
      co_await context.ca.accept(answer->challenge.url);
      answered = true;
      continue;
    }
    context.report.stage = "waiting for the CA to try our answer, " + url;
    co_await pause(context, pace, std::get<Poll>(step).retry_after, url);
  }
}

}  // namespace

Millis Pace::next(std::optional<Millis> retry_after) {
  const Millis delay = std::max(delay_, retry_after.value_or(Millis(0)));
  delay_ = std::min(delay_ * 2, kSlowestPace);
  return delay;
}

Task<std::string> issue(Ca& ca, Clock& clock, ChallengeTable& challenges, IssuanceRequest request,
                        IssuanceReport& report) {
  Context context{ca, clock, challenges, std::move(request), report};
  report.stage = "making an order";
  Order order = co_await ca.new_order(context.request.name);
  report.order_url = order.url;
  if (context.request.ordered) context.request.ordered();
  bool finalized = false;
  Alarm slow;
  for (Pace pace(context.request.first_poll);;) {
    Step step = next_step(order);
    // The CA takes a moment to see that nothing is missing any more, or that it has our request.
    if (report.proven && std::holds_alternative<Prove>(step)) step = Poll{order.retry_after};
    if (finalized && std::holds_alternative<Finalize>(step)) step = Poll{order.retry_after};

    if (const auto* prove_all = std::get_if<Prove>(&step)) {
      for (const std::string& url : prove_all->authorizations) co_await prove(context, url);
      report.proven = true;
    } else if (const auto* finalize = std::get_if<Finalize>(&step)) {
      report.stage = "finalizing the order " + order.url;
      order = co_await ca.finalize(order.url, finalize->url, context.request.csr);
      finalized = true;
      slow = clock.after(kSlowAfter, [&context] {
        context.report.slow = true;
        if (context.request.slow) context.request.slow();
      });
      pace = Pace(context.request.first_poll);
      continue;
    } else if (const auto* poll = std::get_if<Poll>(&step)) {
      report.stage = "waiting for the order " + order.url;
      co_await pause(context, pace, poll->retry_after, order.url);
    } else if (const auto* download = std::get_if<Download>(&step)) {
      slow.reset();
      report.stage = "downloading the certificate " + download->url;
      co_return co_await ca.download(download->url);
    } else {
      co_return given_up(std::get<GiveUp>(step), report);
    }
    order = co_await ca.fetch_order(order.url);
  }
}

}  // namespace latchkey::acme
