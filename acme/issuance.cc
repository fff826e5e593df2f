#include "acme/issuance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/fault_point.h"

namespace latchkey::acme {
namespace {

constexpr Millis kSlowestPace{5000};
constexpr Millis kSlowAfter{30'000};
constexpr size_t kExplained = 4;  // authorizations that are looked at for the cause of a failure

// What polling must leave room for. An order needs two requests more after its proof (order,
// finalize, order, certificate), which are made even where nothing is left: better that, by the
// rare order that has come to the end of its allowance, than polls that are far apart for all.
constexpr int kAfterProof = 2;
constexpr int kAfterFinalize = 1;  // certificate
constexpr int kMostKept = 8;
// Likewise: a proven order is looked at so often before that waits for the allowance.
constexpr int kLastPolls = 4;

struct Context {
  const IssuanceParts parts;
  const IssuanceRequest request;
  IssuanceReport& report;
  std::vector<ChallengeType> types;  // left to us
};

// What the CA looks for, for as long as this lives.
struct Presented {
  ChallengeTable::Offer offer{};
  DnsProver::Standing record{};
};

Error given_up(const GiveUp& why, IssuanceReport& report) {
  report.over = true;
  if (why.problem) report.problem = why.problem;
  return why.why;
}

int64_t since(const Context& context, TimePoint began) {
  return (context.parts.clock.now() - began).count();
}

// Waits before the next poll of `url`, which leaves so many requests for what comes after it;
// `granted`: so many polls are due to it in any case.
Task<> pause(Context& context, Pace& pace, std::optional<Millis> retry_after, int keep, int granted,
             std::string url) {
  Allowance& allowance = context.parts.allowance;
  const int left = static_cast<int>(allowance.left()) - std::min(keep, kMostKept);
  const int steps = std::max(left, granted);
  const Millis delay = pace.next(retry_after, steps, allowance.refilled());
  if (retry_after && context.parts.clock.now() + delay >= context.request.deadline.at()) {
    co_return Error{ErrorCode::kTimeout,
                    url + ": the CA asks us to come back in " +
                        std::to_string(delay.count() / 1000) + " s, which is after our time limit",
                    *retry_after};
  }
  co_await sleep(context.parts.clock, delay);
  co_return Unit{};
}

// From now on nobody else is to wait for us.
void become_slow(Context& context) {
  if (std::exchange(context.report.slow, true)) return;
  if (context.request.slow) context.request.slow();
}

Task<DnsProver::Standing> publish(Context& context, std::string answer) {
  context.report.stage = "publishing a record for dns-01";
  context.request.deadline.allow_for_dns();
  become_slow(context);
  Task<DnsProver::Standing> proving = context.parts.dns->prove(context.request.name, answer);
  Result<DnsProver::Standing> standing = co_await std::move(proving).result();
  if (!standing) {
    context.report.dns_failed = context.report.unpublished = true;
    // The code is one that nobody takes for the CA's word.
    co_return Error{ErrorCode::kIo,
                    "our own DNS did not take the record for dns-01, which is not the CA's fault: "
                    "see to what `dns` in the configuration names; the order stays, and the next "
                    "try goes on with it: " +
                        std::move(standing).error().message};
  }
  co_return standing;
}

Task<Presented> present(Context& context, Challenge challenge) {
  std::string answer = context.parts.ca.key_authorization(challenge.token);
  const ServerName& name = context.request.name;
  ChallengeTable& table = context.parts.challenges;
  Presented presented;
  switch (challenge.type) {
    case ChallengeType::kTlsAlpn01:
      presented.offer = co_await or_fail(table.offer_tls_alpn(name, answer));
      break;
    case ChallengeType::kHttp01:
      presented.offer = table.offer_http(name, challenge.token, std::move(answer));
      break;
    case ChallengeType::kDns01: {
      Task<DnsProver::Standing> publishing = publish(context, std::move(answer));
      presented.record = co_await std::move(publishing);
      break;
    }
  }
  co_return std::move(presented);
}

// Our DNS has failed us: is there another way to prove the same authorization? Then that is taken.
bool leave_dns_out(Context& context, const Authorization& authorization, const Error& why) {
  std::vector<ChallengeType> others = context.types;
  std::erase(others, ChallengeType::kDns01);
  for (const Challenge& challenge : authorization.challenges) {
    const bool ours = std::find(others.begin(), others.end(), challenge.type) != others.end();
    if (!ours || challenge.status != ChallengeStatus::kPending) continue;
    context.types = std::move(others);
    context.report.unpublished = false;
    context.parts.log.warning("dns_proof_failed", why.message,
                              {{"name", context.request.name.text()},
                               {"order", context.report.order_url},
                               {"next", to_string(challenge.type)}});
    return true;
  }
  return false;
}

// The challenge that the CA is trying already, told so before a restart; or null.
const Challenge* under_way(const Context& context, const Authorization& authorization) {
  if (authorization.status != AuthorizationStatus::kPending) return nullptr;
  for (const Challenge& challenge : authorization.challenges) {
    if (challenge.status != ChallengeStatus::kProcessing) continue;
    const bool can = challenge.type != ChallengeType::kDns01 || context.parts.dns != nullptr;
    if (can) return &challenge;
  }
  return nullptr;
}

// The challenge that the CA has tried and refused; or null.
const Challenge* refused(const Authorization& authorization) {
  for (const Challenge& challenge : authorization.challenges) {
    if (challenge.status == ChallengeStatus::kInvalid && challenge.problem) return &challenge;
  }
  return nullptr;
}

bool is_untouched(const Authorization& authorization) {
  return authorization.status == AuthorizationStatus::kPending &&
         std::all_of(authorization.challenges.begin(), authorization.challenges.end(),
                     [](const Challenge& c) { return c.status == ChallengeStatus::kPending; });
}

void note_refusal(const Challenge& challenge, IssuanceReport& report) {
  report.proof_failed = report.refused_away = true;
  report.answered = challenge.type;
}

Task<> prove(Context& context, std::string url, int keep) {
  const TimePoint began = context.parts.clock.now();
  IssuanceReport& report = context.report;
  Presented presented;
  bool answered = false;
  std::optional<Error> too_late;   // that a challenge could not be accepted any more
  std::optional<Problem> problem;  // ... in the CA's words
  for (Pace pace(context.request.first_poll);;) {
    report.stage = "reading the authorization " + url;
    const Authorization authorization = co_await context.parts.ca.fetch_authorization(url);
    if (too_late && is_untouched(authorization)) {
      report.problem = problem;
      co_return *too_late;
    }
    const Challenge* tried =
        answered || !report.resumed ? nullptr : under_way(context, authorization);
    if (tried != nullptr) {
      Task<Presented> presenting = present(context, *tried);
      presented = co_await std::move(presenting);
      report.answered = tried->type;
      answered = true;
    }
    const ProofStep step = next_step(authorization, context.request.name, context.types, answered);
    if (std::holds_alternative<Proven>(step)) {
      context.parts.log.info("authorization_valid", "authorization " + url,
                             {{"name", context.request.name.text()},
                              {"order", report.order_url},
                              {"challenge", answered ? to_string(*report.answered) : "none"},
                              {"ms", since(context, began)}});
      co_return Unit{};
    }
    if (const auto* give_up = std::get_if<GiveUp>(&step)) {
      report.proof_failed = answered;
      const Challenge* cause = report.resumed ? refused(authorization) : nullptr;
      if (!answered && cause != nullptr) note_refusal(*cause, report);
      co_return given_up(*give_up, report);
    }
    if (const auto* answer = std::get_if<Answer>(&step)) {
      Task<Presented> presenting = present(context, answer->challenge);
      Result<Presented> outcome = co_await std::move(presenting).result();
      if (!outcome) {
        const bool another =
            report.unpublished && leave_dns_out(context, authorization, outcome.error());
        if (!another) co_return std::move(outcome).error();
        continue;
      }
      presented = *std::move(outcome);
      report.answered = answer->challenge.type;
      report.stage = "answering the challenge " + answer->challenge.url;
      fault_point("challenge.offered");
      Task<> accepting = context.parts.ca.accept(answer->challenge.url);
      const Result<> accepted = co_await std::move(accepting).result();
      if (!accepted) {
        // Told of it in an earlier life, the CA may have tried it since we looked.
        if (!report.resumed || !report.problem || report.problem->status / 100 != 4) {
          co_return accepted.error();
        }
        too_late = accepted.error();
        problem = std::exchange(report.problem, std::nullopt);
      }
      fault_point("challenge.accepted");
      answered = true;
      continue;
    }
    report.stage = "waiting for the CA to try our answer, " + url;
    co_await pause(context, pace, std::get<Poll>(step).retry_after, keep, 0, url);
  }
}

Task<> prove_all(Context& context, std::vector<std::string> urls) {
  int left = static_cast<int>(urls.size());
  for (const std::string& url : urls) {
    --left;
    co_await prove(context, url, kAfterProof + 3 * left);
  }
  context.report.proven = true;
  fault_point("order.proven");
  co_return Unit{};
}

bool is_about_validation(const Problem& problem) {
  switch (problem.failure_class()) {
    case FailureClass::kDns:
    case FailureClass::kConnection:
    case FailureClass::kTls:
    case FailureClass::kUnauthorized:
      return true;
    default:
      return false;
  }
}

// Why an order came to nothing while we were away: by its own word, and by an authorization's.
Task<> find_cause(Context& context, Order& order) {
  IssuanceReport& report = context.report;
  if (order.problem && !is_about_validation(*order.problem)) co_return Unit{};
  report.proof_failed = report.refused_away = order.problem.has_value();
  for (size_t i = 0; i < std::min(order.authorizations.size(), kExplained); ++i) {
    Task<Authorization> fetching = context.parts.ca.fetch_authorization(order.authorizations[i]);
    const Result<Authorization> authorization = co_await std::move(fetching).result();
    if (!authorization) {  // it only was to explain
      report.problem.reset();
      report.throttle.reset();
      continue;
    }
    if (const Challenge* cause = refused(*authorization)) {
      note_refusal(*cause, report);
      if (!order.problem) order.problem = cause->problem;
      co_return Unit{};
    }
  }
  co_return Unit{};
}

Task<Order> resume_order(Context& context) {
  context.report.resumed = true;
  context.report.order_url = context.request.resume;
  context.report.stage = "going on with the order " + context.request.resume;
  Order order = co_await context.parts.ca.fetch_order(context.request.resume);
  if (order.status == OrderStatus::kInvalid) co_await find_cause(context, order);
  co_return order;
}

Task<Order> make_order(Context& context) {
  IssuanceReport& report = context.report;
  report.stage = "making an order";
  Task<Order> ordering = context.parts.ca.new_order(context.request.name);
  Result<Order> made = co_await std::move(ordering).result();
  if (!report.order_url.empty() && context.request.ordered) context.request.ordered();
  Order order = co_await or_fail(std::move(made));
  fault_point("order.made");
  if (context.request.keep) {
    report.stage = "storing the order " + order.url;
    report.storage_failed = true;  // until it is done
    co_await context.request.keep(order.url);
    report.storage_failed = false;
  }
  fault_point("order.stored");
  co_return order;
}

}  // namespace

Millis Pace::next(std::optional<Millis> retry_after, int steps, Millis refilled) {
  const Millis delay = std::max(delay_, retry_after.value_or(Millis(0)));
  if (steps <= 0) return std::max(delay, refilled);
  const double far = static_cast<double>(std::max(refilled, delay_).count());
  const double near = static_cast<double>(std::max(delay_, Millis(1)).count());
  const double growth = std::max(2.0, std::pow(far / near, 1.0 / steps));
  const Millis slowest = std::max(kSlowestPace, refilled / steps);
  delay_ = std::min(Millis(static_cast<int64_t>(near * growth)), slowest);
  return delay;
}

Task<Chain> issue(IssuanceParts parts, IssuanceRequest request, IssuanceReport& report) {
  Context context{parts, std::move(request), report, {}};
  context.types = context.request.types;
  Ca& ca = parts.ca;
  const bool resumes = !context.request.resume.empty();
  Task<Order> beginning = resumes ? resume_order(context) : make_order(context);
  Order order = co_await std::move(beginning);
  bool finalized = order.status == OrderStatus::kProcessing;
  const auto watch = [&context] {
    return context.parts.clock.after(kSlowAfter, [&context] { become_slow(context); });
  };
  Alarm slow;
  if (finalized) slow = watch();
  int polls = 0;
  for (Pace pace(context.request.first_poll);;) {
    Step step = next_step(order);
    // The CA takes a moment to see that nothing is missing any more, or that it has our request.
    if (report.proven && std::holds_alternative<Prove>(step)) step = Poll{order.retry_after};
    if (finalized && std::holds_alternative<Finalize>(step)) step = Poll{order.retry_after};

    if (const auto* missing = std::get_if<Prove>(&step)) {
      co_await prove_all(context, missing->authorizations);
    } else if (const auto* finalize = std::get_if<Finalize>(&step)) {
      report.stage = "finalizing the order " + order.url;
      order = co_await ca.finalize(order.url, finalize->url, context.request.csr);
      parts.log.info("order_finalized", "order " + order.url,
                     {{"name", context.request.name.text()}, {"order", order.url}});
      fault_point("order.finalized");
      finalized = true;
      slow = watch();
      pace = Pace(context.request.first_poll);
      continue;
    } else if (const auto* poll = std::get_if<Poll>(&step)) {
      report.stage = "waiting for the order " + order.url;
      const int keep = finalized ? kAfterFinalize : kAfterProof - 1;
      const int granted = std::max(0, kLastPolls - polls++);
      co_await pause(context, pace, poll->retry_after, keep, granted, order.url);
    } else if (const auto* download = std::get_if<Download>(&step)) {
      slow.reset();
      fault_point("order.valid");
      report.stage = "downloading the certificate " + download->url;
      Chain chain = co_await ca.download(download->url);
      fault_point("chain.downloaded");
      co_return chain;
    } else {
      co_return given_up(std::get<GiveUp>(step), report);
    }
    order = co_await ca.fetch_order(order.url);
  }
}

}  // namespace latchkey::acme
