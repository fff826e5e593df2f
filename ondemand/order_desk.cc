#include "ondemand/order_desk.h"

#include <algorithm>

#include "policy/name_guard.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Breaker::Options kHealth{3, 10s};

// Another CA may do better. CAA is the name's own affair, but a record may allow one CA and not
// another.
bool another_issuer_may_help(const OrderFailure& failure) {
  return failure.failure == FailureClass::kCaa ||
         (failure.of_the_ca && failure.failure != FailureClass::kStorage);
}

OrderOutcome refused(FailureClass failure, Error error);

OrderOutcome no_issuer(const ServerName& name) {
  return refused(FailureClass::kOther,
                 Error{ErrorCode::kInvalid, "no issuer can prove the wildcard " + name.text() +
                                                ": put \"dns-01\" into issuers[].acme.challenges, "
                                                "and how records are made into `dns`"});
}

OrderOutcome refused(FailureClass failure, Error error) {
  OrderOutcome outcome;
  outcome.failure = OrderFailure{failure, std::move(error), true};
  return outcome;
}

}  // namespace

OrderDesk::OrderDesk(std::vector<CertificateSource*> sources, Budget& budget, BudgetKeeper& keeper,
                     OrderQueue& queue, Clock& clock, Log& log)
    : budget_(budget), keeper_(keeper), queue_(queue), clock_(clock), log_(log) {
  for (CertificateSource* source : sources) issuers_.push_back({source, Breaker(kHealth)});
}

bool OrderDesk::in_order(size_t issuer) const {
  return issuers_[issuer].breaker.retry_at() <= clock_.now();
}

// Where nobody selects an issuer.
std::vector<size_t> OrderDesk::unselected() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < issuers_.size(); ++i) {
    if (!issuers_[i].source->embedded()) out.push_back(i);
  }
  if (out.empty() && !issuers_.empty()) out.push_back(0);
  return out;
}

bool OrderDesk::proves_wildcards(const GrantPtr& grant) const {
  const auto proves = [this](size_t i) { return issuers_[i].source->proves_wildcards(); };
  if (grant != nullptr && !grant->issuer.empty()) {
    const auto chosen = find(grant->issuer);
    return chosen && proves(*chosen);
  }
  const std::vector<size_t> issuers = unselected();
  return std::any_of(issuers.begin(), issuers.end(), proves);
}

// Those that are in order; all of them when none is: one has to be tried.
std::vector<size_t> OrderDesk::choose(const ServerName& name, const GrantPtr& grant) const {
  if (grant != nullptr && !grant->issuer.empty()) {
    const auto chosen = find(grant->issuer);
    const bool fits =
        chosen && (!name.is_wildcard() || issuers_[*chosen].source->proves_wildcards());
    if (fits) return {*chosen};
    if (chosen) return {};
    log_.error("ask_unknown_issuer",
               "the ask endpoint chose the issuer \"" + grant->issuer +
                   "\", which is not in the configuration; the first one is used: correct its "
                   "answer, or add the issuer",
               {{"name", name.text()}});
  }
  if (const auto bound = bound_.find(name); bound != bound_.end()) {
    if (const auto chosen = find(bound->second)) return {*chosen};
  }
  std::vector<size_t> all = unselected();
  if (name.is_wildcard()) {
    std::erase_if(all, [this](size_t i) { return !issuers_[i].source->proves_wildcards(); });
  }
  std::vector<size_t> good;
  std::copy_if(all.begin(), all.end(), std::back_inserter(good),
               [this](size_t i) { return in_order(i); });
  return good.empty() ? all : good;
}

std::optional<size_t> OrderDesk::find(const std::string& name) const {
  for (size_t i = 0; i < issuers_.size(); ++i) {
    if (issuers_[i].source->name() == name) return i;
  }
  return std::nullopt;
}

// An order that a CA has already is gone on with there. A renewal by the issuer of the certificate
// costs the least, and counts as one where that issuer is the first choice, or time is short; else
// the order of preference rules, as for a new name.
OrderDesk::Turn OrderDesk::next_turn(const OrderJob& job, const std::vector<size_t>& left,
                                     Lane lane) const {
  const auto is_left = [&](const std::optional<size_t>& issuer) {
    return issuer && std::find(left.begin(), left.end(), *issuer) != left.end();
  };
  if (job.pending) {
    const auto issuer = find(job.pending->issuer);
    if (is_left(issuer)) return {{*issuer}, false, true};
  }
  if (job.predecessor != nullptr) {
    const auto own = find(job.predecessor_issuer);
    const bool urgent = lane == Lane::kUrgentRenewal;
    if (is_left(own) && (*own == left.front() || urgent)) return {{*own}, true, false};
  }
  return {left, false, false};
}

Task<OrderOutcome> OrderDesk::order(OrderJob job, Want& want, Millis patience, bool& began) {
  Task<> loading = keeper_.load();
  Result<> loaded = co_await std::move(loading).result();
  if (!loaded) co_return refused(FailureClass::kStorage, std::move(loaded).error());

  const TimePoint deadline = clock_.now() + patience;
  std::vector<size_t> left = choose(job.name, job.grant);
  if (job.failures > 0) want.set_retry();
  OrderOutcome last;
  if (left.empty()) last = no_issuer(job.name);
  bool proof_failed = false;
  while (!left.empty()) {
    const Turn turn = next_turn(job, left, want.lane());
    OrderPlan plan{job.name, registered_domain(job.name), want.lane(), turn.renewal};
    plan.resumed = turn.resumed;
    plan.replaces = turn.renewal && issuers_[turn.issuers.front()].source->replaces(job);
    OrderQueue::Ask ask{std::move(plan), turn.issuers, deadline};
    Task<OrderQueue::Place> waiting = queue_.enter(std::move(ask), want);
    Result<OrderQueue::Place> entered = co_await std::move(waiting).result();
    if (!entered) {
      // What an issuer said is worth more than that the others have no room.
      if (!last.failure) last = refused(FailureClass::kRateLimited, std::move(entered).error());
      if (turn.resumed) job.pending.reset();
      std::erase_if(left, [&turn](size_t i) {
        return std::find(turn.issuers.begin(), turn.issuers.end(), i) != turn.issuers.end();
      });
      if (want.cancelled()) co_return last;
      continue;
    }
    OrderQueue::Place place = *std::move(entered);
    keeper_.changed();
    const size_t issuer = place.issuer();
    std::erase(left, issuer);
    // While it is out of order one tries it, every now and then. What was taken goes back.
    if (!issuers_[issuer].breaker.admit(clock_.now())) {
      if (!last.failure) last = out_of_order(issuer);
      continue;
    }

    OrderJob attempt = job;
    if (!turn.resumed) attempt.pending.reset();
    if (!turn.renewal) attempt.predecessor = nullptr;
    if (turn.resumed) job.pending.reset();
    attempt.ordered = [&place] { place.ordered(); };
    attempt.may_order_again = [this, &place] {
      const bool taken = place.take_another();
      keeper_.changed();
      return taken;
    };
    attempt.may_order_plain = [this, &place] {
      const bool taken = place.take_plain();
      keeper_.changed();
      return taken;
    };
    attempt.authorization_failed = [this, issuer, name = job.name, &proof_failed] {
      proof_failed = true;
      budget_.authorization_failed(issuer, name, clock_.now());
      keeper_.changed();
    };
    attempt.slow = [&place] { place.slow(); };
    began = true;
    Task<OrderOutcome> ordering = issuers_[issuer].source->order(std::move(attempt));
    last = co_await std::move(ordering);
    note(issuer, last);
    if (last.certificate != nullptr) place.issued();
    place = {};
    keeper_.changed();  // what was not spent went back
    // A refused proof is the name's, whatever went wrong after it.
    if (last.failure && proof_failed) last.failure->of_the_ca = false;
    if (last.certificate != nullptr || !another_issuer_may_help(*last.failure)) co_return last;
    if (!left.empty()) {
      log_.warning("issuer_failed", "trying the next issuer: " + last.failure->error.message,
                   {{"issuer", last.issuer}, {"name", job.name.text()}});
    }
  }
  co_return last;
}

OrderOutcome OrderDesk::out_of_order(size_t issuer) const {
  const std::string& name = issuers_[issuer].source->name();
  const Millis wait = issuers_[issuer].breaker.wait(clock_.now());
  Error why{ErrorCode::kThrottled,
            "the issuer " + name + " is out of order; it is tried again in " +
                std::to_string((wait.count() + 999) / 1000) + " s",
            wait};
  OrderOutcome outcome = refused(FailureClass::kServerInternal, std::move(why));
  outcome.issuer = name;
  return outcome;
}

void OrderDesk::note(size_t issuer, const OrderOutcome& outcome) {
  Breaker& breaker = issuers_[issuer].breaker;
  const bool was_open = breaker.open();
  // A CA that limits us is well.
  const bool ill = outcome.failure && outcome.failure->of_the_ca &&
                   outcome.failure->failure != FailureClass::kRateLimited;
  ill ? breaker.failed(clock_.now()) : breaker.succeeded();
  if (breaker.open() == was_open) return;
  const std::string& name = issuers_[issuer].source->name();
  if (on_health) on_health(name, breaker.open() ? &outcome.failure->error : nullptr);
  if (breaker.open()) {
    log_.error("issuer_unavailable",
               "it has failed " + std::to_string(kHealth.threshold) +
                   " times in a row and is tried every " +
                   std::to_string(kHealth.probe_every.count() / 1000) +
                   " s only: " + outcome.failure->error.message,
               {{"issuer", name}});
  } else {
    log_.info("issuer_available", "it works again", {{"issuer", name}});
  }
}

}  // namespace latchkey
