#include "ondemand/coordinator.h"

#include <algorithm>

#include "policy/name_guard.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kStoreTestWait = 30s;
constexpr Millis kStoreRetest = 1s;  // a sick disk is not written to for every visitor
// How long "nothing is stored" is believed without looking again. Our own writes end it at once;
// this is for those of others.
constexpr Millis kAbsentFor = 60s;
constexpr Millis kAdmittedFor = std::chrono::hours(7 * 24);
constexpr Millis kRecheckSoon = 60s;  // when it could not be found out
constexpr Millis kLaterAtLeast = 60s;

Error unknown(const Decision& decision) {
  return {ErrorCode::kIo,
          "it could not be found out whether the name is wanted: " + decision.reason,
          decision.retry_after};
}

WallTime later(WallTime now, Millis by) {
  return now + std::chrono::duration_cast<std::chrono::seconds>(by);
}

}  // namespace

Coordinator::Coordinator(Options options, Store& store, Policy& policy, Budget& budget,
                         BudgetKeeper& keeper, CertificateCache& cache, Order order, Later later_in,
                         Clock& clock, Log& log)
    : options_(options),
      store_(store),
      policy_(policy),
      budget_(budget),
      keeper_(keeper),
      cache_(cache),
      order_(std::move(order)),
      later_(std::move(later_in)),
      clock_(clock),
      log_(log) {
  store_.on_stored([this](const ServerName& name, const Certificate& certificate) {
    stored(name, certificate);
  });
}

Coordinator::~Coordinator() {
  store_.on_stored({});
}

Task<CertificatePtr> Coordinator::obtain(ServerName name, Want& want) {
  if (std::optional<Error> refused = remembered_refusal(name)) {
    counts_.refused_again.add();
    co_return *std::move(refused);
  }

  NameRecord record;
  Task<CertificatePtr> looking = look_in_store(name, record);
  CertificatePtr found = co_await std::move(looking);
  if (found != nullptr) {
    Task<CertificatePtr> serving = serve_stored(name, std::move(record));
    co_return co_await std::move(serving).result();
  }

  if (std::optional<Error> early = too_early(name, policy_.decide_without_asking(name))) {
    counts_.too_early.add();
    co_return *std::move(early);
  }

  Task<Decision> deciding = policy_.decide(name, AskReason::kIssue, record.verdict);
  const Decision decision = co_await std::move(deciding);
  if (decision.verdict == Verdict::kUnknown) {
    // Not remembered: the next visitor may find the endpoint up again.
    counts_.unknown.add();
    co_return unknown(decision);
  }
  if (decision.verdict == Verdict::kDeny) co_return denied(name, decision);

  // After a start the first names come before what was left of the limits has been read.
  Task<> loading = keeper_.load();
  co_await std::move(loading);
  if (std::optional<Error> over = over_new_name_limit(name, decision, record)) {
    counts_.new_names_over_limit.add();
    ledger_.trouble(name, FailureClass::kPolicy, *over, "");
    co_return *std::move(over);
  }
  policy_.keep(name);
  Task<CertificatePtr> ordering = order_and_store(name, decision, want);
  co_return co_await std::move(ordering).result();
}

std::optional<Error> Coordinator::remembered_refusal(const ServerName& name) {
  const bool absent = absent_.find(name, clock_.now()).has_value();
  if (!absent && !options_.refuse_denied) return std::nullopt;
  const Decision known = policy_.decide_without_asking(name);
  if (known.verdict == Verdict::kDeny) return Error{ErrorCode::kDenied, known.reason};
  if (!absent) return std::nullopt;
  return too_early(name, known);
}

std::optional<Error> Coordinator::too_early(const ServerName& name, const Decision& known) const {
  const FailureRecord* failed = ledger_.find(name);
  if (failed == nullptr) return std::nullopt;
  // The limit on names that only the endpoint allows is none for those that were listed since.
  const bool listed = known.verdict == Verdict::kAllow && !known.from_ask();
  if (failed->failure == FailureClass::kPolicy && listed) return std::nullopt;
  return ledger_.refusal(*failed);
}

Task<CertificatePtr> Coordinator::look_in_store(ServerName name, NameRecord& record) {
  Task<NameRecord> finding = store_.find_name(name);
  Result<NameRecord> found = co_await std::move(finding).result();
  if (!found) {
    log_.error("store_read_failed", found.error().message, {{"name", name.text()}});
    co_return std::move(found).error().in("looking for a stored certificate");
  }
  record = *std::move(found);
  if (record.failure) ledger_.learn(name, *record.failure);
  const CertificatePtr certificate = record.certificate;
  if (certificate == nullptr || certificate->expired_at(clock_.wall_now())) {
    absent_.set(name, 1, clock_.now() + kAbsentFor);
    co_return CertificatePtr();
  }
  co_return certificate;
}

// A valid certificate is served whatever the ask endpoint or the ledger say, save that with
// refuse_denied a denial (but no doubt) counts.
Task<CertificatePtr> Coordinator::serve_stored(ServerName name, NameRecord record) {
  Decision decision;
  decision.verdict = Verdict::kAllow;
  if (options_.refuse_denied) {
    Task<Decision> deciding = policy_.decide(name, AskReason::kServe, record.verdict);
    decision = co_await std::move(deciding);
    if (decision.verdict == Verdict::kDeny) co_return denied(name, decision);
  }
  if (decision.grant == nullptr && record.verdict) {
    decision.grant = std::make_shared<const Grant>(record.verdict->grant);
    decision.fresh_until = record.verdict->until;
    decision.source = VerdictSource::kRemembered;
  }
  if (decision.verdict == Verdict::kUnknown) {
    decision.fresh_until = later(clock_.wall_now(), kRecheckSoon);
  }
  counts_.from_store.add();
  NameExtras beside = extras(decision);
  // Nothing is known of the endpoint's word about it: it may have one about the route.
  const bool asks = policy_.decide_without_asking(name).verdict == Verdict::kUnknown;
  if (asks && !record.verdict) beside.recheck_at = clock_.wall_now();
  cache_.put(name, record.certificate, std::move(beside));
  co_return record.certificate;
}

// When the policy is asked again about a name in memory: where its routes come from the endpoint,
// when the answer gets stale; where a denial would end it, every now and then.
NameExtras Coordinator::extras(const Decision& decision) {
  NameExtras out;
  out.grant = decision.grant;
  const bool routed = decision.grant != nullptr && !decision.grant->upstream.empty();
  endpoint_routes_ = endpoint_routes_ || routed;
  const bool may_be_routed = endpoint_routes_ && decision.from_ask();
  if (routed || may_be_routed || options_.refuse_denied) out.recheck_at = decision.fresh_until;
  if (options_.refuse_denied) {
    out.recheck_at = std::min(out.recheck_at, later(clock_.wall_now(), options_.recheck_every));
  }
  return out;
}

Error Coordinator::denied(const ServerName& name, const Decision& decision) {
  counts_.denied.add();
  log_.debug("denied", decision.reason, {{"name", name.text()}});
  return {ErrorCode::kDenied, decision.reason};
}

std::optional<Error> Coordinator::over_new_name_limit(const ServerName& name,
                                                      const Decision& decision,
                                                      const NameRecord& record) {
  // Not new: it has had a certificate, or a try at one.
  if (!decision.from_ask() || record.certificate != nullptr || ledger_.failures(name) > 0 ||
      admitted_.find(name, clock_.now())) {
    return std::nullopt;
  }
  const std::string domain = registered_domain(name);
  const TimePoint now = clock_.now();
  const std::optional<TimePoint> at = budget_.take_new_name(domain, now);
  if (!at) {
    admitted_.set(name, 1, now + kAdmittedFor);
    keeper_.changed();
    return std::nullopt;
  }
  Error over{ErrorCode::kThrottled,
             "too many new names under " + domain +
                 " (on_demand.per_registered_domain); the next one is taken in " +
                 std::to_string((*at - now).count() / 1000) +
                 " s: raise the limit, or put the names into the allowlist",
             *at - now};
  log_.warning("new_names_over_limit", over.message, {{"name", name.text()}, {"domain", domain}});
  return over;
}

// Passes while the store works; tested anew after every failure, but not for every visitor.
Task<> Coordinator::test_store() {
  if (store_works_) co_return Unit{};
  const Turnstile::Pass pass = co_await testing_.enter(kStoreTestWait);
  if (store_works_) co_return Unit{};  // by somebody else's test
  if (store_trouble_ && clock_.now() < store_tested_ + kStoreRetest) co_return *store_trouble_;
  Result<> tested = co_await store_.self_test().result();
  if (tested) {
    store_works_ = true;
    store_trouble_.reset();
    co_return Unit{};
  }
  store_trouble_ = std::move(tested).error().in("no order is made while the store does not work");
  store_tested_ = clock_.now();
  co_return *store_trouble_;
}

Task<CertificatePtr> Coordinator::order_and_store(ServerName name, Decision decision, Want& want) {
  bool began = false;
  const bool had_failed = ledger_.failures(name) > 0;
  OrderOutcome outcome;
  Task<> testing = test_store();
  Result<> works = co_await std::move(testing).result();
  if (works) {
    OrderJob job{name};
    job.failures = ledger_.failures(name);
    job.grant = decision.grant;
    Task<OrderOutcome> ordering = order_(std::move(job), want, began);
    outcome = co_await std::move(ordering);
  } else {
    outcome.failure = OrderFailure{FailureClass::kStorage, std::move(works).error(), true};
  }
  if (began) counts_.orders.add();

  if (outcome.certificate != nullptr) {
    // On disk before anybody sees it: what was served once must be there after a crash.
    Task<> putting = store_.put_certificate(name, outcome.certificate, outcome.issuer);
    Result<> put = co_await std::move(putting).result();
    if (put) {
      cache_.put(name, outcome.certificate, extras(decision));
      counts_.obtained.add();
      if (had_failed || ledger_.find(name) != nullptr) {
        Task<> forgetting = forget_failures(name);
        co_await std::move(forgetting);
      }
      co_return outcome.certificate;
    }
    store_works_ = false;
    Error why = std::move(put).error().in("storing the certificate");
    outcome.failure = OrderFailure{FailureClass::kStorage, std::move(why), false};
  }

  Error error = outcome.failure->error;
  Task<> recording = record_failure(name, std::move(outcome), began);
  co_await std::move(recording);
  co_return error;
}

Task<> Coordinator::record_failure(ServerName name, OrderOutcome outcome, bool began) {
  const OrderFailure& failure = *outcome.failure;
  counts_.failed.add();
  if (failure.failure == FailureClass::kStorage) store_works_ = false;
  log_.error("issuance_failed", "no certificate for the name: " + failure.error.message,
             {{"name", name.text()}, {"class", to_string(failure.failure)}});
  if (began && !failure.of_the_ca) {
    Task<> charging =
        ledger_.failed(name, failure.failure, failure.error, std::move(outcome.issuer));
    co_await std::move(charging);
    co_return Unit{};
  }
  // The name is not to blame. What our limits put off is made up for when they allow it.
  if (began || failure.error.retry_after > Millis(0)) {
    ledger_.trouble(name, failure.failure, failure.error, std::move(outcome.issuer));
  }
  if (failure.failure == FailureClass::kRateLimited) {
    later_(name, std::max(kLaterAtLeast, failure.error.retry_after));
  }
  co_return Unit{};
}

Task<bool> Coordinator::may_be_served(ServerName name, Want&) {
  if (cache_.find(name) != nullptr) co_return true;
  if (const std::optional<Error> refused = remembered_refusal(name)) {
    co_return refused->code != ErrorCode::kDenied;  // what failed is wanted all the same
  }
  NameRecord record;
  if (policy_.decide_without_asking(name).verdict != Verdict::kAllow) {
    Task<CertificatePtr> looking = look_in_store(name, record);
    const CertificatePtr found = co_await std::move(looking);
    if (found != nullptr) co_return true;
    Task<Decision> deciding = policy_.decide(name, AskReason::kIssue, record.verdict);
    const Decision decision = co_await std::move(deciding);
    if (decision.verdict == Verdict::kDeny) counts_.denied.add();
    if (decision.verdict != Verdict::kAllow) co_return false;
  }
  later_(name, Millis(0));
  co_return true;
}

Task<Unit> Coordinator::recheck(ServerName name, Want&) {
  // With its row, so that a no takes it away.
  Task<NameRecord> finding = store_.find_name(name);
  Result<NameRecord> record = co_await std::move(finding).result();
  std::optional<VerdictRecord> row;
  if (record) row = std::move(record->verdict);
  Task<Decision> deciding = policy_.decide(name, AskReason::kServe, std::move(row));
  Decision decision = co_await std::move(deciding);
  const CacheHit hit = cache_.look_up(name, WallTime::min());
  if (hit.certificate == nullptr) co_return Unit{};
  if (decision.verdict == Verdict::kAllow) policy_.keep(name);
  if (decision.verdict == Verdict::kDeny && options_.refuse_denied) {
    log_.warning("denied_name_ended", "it is refused from now on: " + decision.reason,
                 {{"name", name.text()}});
    cache_.erase(name);
    co_return Unit{};
  }
  if (decision.verdict != Verdict::kAllow) {  // it is served on, by what was said before
    decision.grant = hit.grant;
    decision.fresh_until = later(clock_.wall_now(), kRecheckSoon);
  }
  cache_.set_extras(name, extras(decision));
  co_return Unit{};
}

// Never fails: a row that stays makes the next failure's wait longer, no more.
Task<> Coordinator::forget_failures(ServerName name) {
  Task<> forgetting = ledger_.forget(name);
  const Result<> forgotten = co_await std::move(forgetting).result();
  if (!forgotten) {
    log_.error("store_write_failed", "forgetting failures: " + forgotten.error().message,
               {{"name", name.text()}});
  }
  co_return Unit{};
}

void Coordinator::forget_in_memory(const ServerName& name) {
  policy_.forget(name);
  cache_.erase(name);
  ledger_.forget_in_memory(name);
}

Task<> Coordinator::forget(ServerName name) {
  forget_in_memory(name);
  Task<> forgetting = forget_failures(name);
  co_await std::move(forgetting);
  Task<> deleting = store_.delete_name(name);
  co_return co_await std::move(deleting).result();
}

void Coordinator::stored(const ServerName& name, const Certificate& certificate) {
  absent_.erase(name);
  for (const std::string& own : certificate.names()) {
    if (own.starts_with("*.")) return absent_.clear();  // any of them may have been marked
    if (auto parsed = ServerName::parse(own, {.underscore = true})) absent_.erase(*parsed);
  }
}

}  // namespace latchkey
