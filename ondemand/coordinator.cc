#include "ondemand/coordinator.h"

#include <algorithm>

#include "base/within.h"
#include "policy/name_guard.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

// How long "nothing is stored" is believed without looking again. Our own writes end it at once;
// this is for those of others.
constexpr Millis kAbsentFor = 60s;
constexpr Millis kAdmittedFor = std::chrono::hours(7 * 24);
constexpr Millis kRecheckSoon = 60s;  // when it could not be found out
// Verdicts of names that have no certificate of their own, and cost whoever invents them nothing.
constexpr int kMostKept = 1000;
constexpr Millis kKeptIn = 1h;

Error unknown(const Decision& decision) {
  return {ErrorCode::kIo,
          "it could not be found out whether the name is wanted: " + decision.reason,
          decision.retry_after};
}

// Whoever wants the twin is also served by a main certificate that is RSA.
Slot slot_of(const NameRecord& record, Slot wanted) {
  return record.info ? record.info->slot : wanted;
}

// What is to be an RSA certificate anyway needs no twin.
Slot slot_to_order(const GrantPtr& grant, Slot wanted) {
  const bool rsa = grant != nullptr && grant->key_type.starts_with("rsa");
  return rsa ? Slot::kMain : wanted;
}

WallTime later(WallTime now, Millis by) {
  return now + std::chrono::duration_cast<std::chrono::seconds>(by);
}

}  // namespace

Coordinator::Coordinator(Options options, Parts parts)
    : options_(options), parts_(std::move(parts)) {
  parts_.store.on_stored(
      [this](const ServerName& name, Slot slot, const CertificatePtr& certificate) {
        stored(name, slot, certificate);
      });
}

Coordinator::~Coordinator() {
  parts_.store.on_stored({});
}

Task<CertificatePtr> Coordinator::obtain(ServerName name, Slot slot, Want& want) {
  Visit visit;
  visit.slot = slot;
  Task<CertificatePtr> finding = find_or_issue(name, want, visit);
  Result<CertificatePtr> found = co_await std::move(finding).result();
  if (found) co_return found;
  co_return instead_of_fresh(name, visit, std::move(found).error());
}

Task<CertificatePtr> Coordinator::find_or_issue(ServerName name, Want& want, Visit& visit) {
  const Slot slot = visit.slot;
  visit.expired = expired_in_memory(name, slot);
  if (std::optional<Error> refused = remembered_refusal(name, slot)) {
    counts_.refused_again.add();
    co_return *std::move(refused);
  }
  const bool is_absent = absent(slot).find(name, parts_.clock.now()).has_value();
  if (is_absent && parts_.issuances.running_for({name, slot})) {
    // Nothing is stored, and the order is under way: that is all there is to wait for.
    Issuances::Job job{name, slot};
    Task<CertificatePtr> joining = issue(std::move(job), want, visit.expired != nullptr);
    co_return co_await std::move(joining).result();
  }

  Task<CertificatePtr> looking = look_in_store(name, visit);
  CertificatePtr found = co_await std::move(looking);
  NameRecord& record = visit.record;
  if (found != nullptr) {
    Task<CertificatePtr> serving = serve_stored(name, slot, std::move(record));
    co_return co_await std::move(serving).result();
  }

  if (std::optional<Error> early = too_early(name, parts_.policy.decide_without_asking(name))) {
    counts_.too_early.add();
    co_return *std::move(early);
  }

  Task<Decision> deciding = parts_.policy.decide(name, AskReason::kIssue, record.verdict);
  const Decision decision = co_await std::move(deciding);
  if (decision.verdict == Verdict::kUnknown) {
    // Not remembered: the next visitor may find the endpoint up again.
    counts_.unknown.add();
    co_return unknown(decision);
  }
  if (decision.verdict == Verdict::kDeny) co_return denied(name, decision);

  // After a start the first names come before what was left of the limits has been read.
  Task<> loading = parts_.keeper.load();
  co_await std::move(loading);
  if (std::optional<Error> over = over_new_name_limit(name, decision, visit)) {
    counts_.new_names_over_limit.add();
    parts_.ledger.trouble(name, FailureClass::kPolicy, *over, "");
    co_return *std::move(over);
  }
  parts_.policy.keep(name);
  if (auto wildcard = wildcard_for(name, decision.grant)) {
    Task<CertificatePtr> issuing =
        issue_wildcard(name, *std::move(wildcard), decision, want, visit);
    co_return co_await std::move(issuing).result();
  }
  // Asking has taken its time: the scheduler may have renewed it meanwhile.
  const CertificatePtr renewed = parts_.cache.find(name, slot);
  if (renewed != nullptr && !renewed->expired_at(parts_.clock.wall_now())) co_return renewed;
  Issuances::Job job{name, slot_to_order(decision.grant, slot)};
  job.grant = decision.grant;
  job.extras = extras(decision);
  job.predecessor = record.certificate;
  job.info = record.info;
  job.pending = record.order;
  Task<CertificatePtr> issuing = issue(std::move(job), want, visit.expired != nullptr);
  co_return co_await std::move(issuing).result();
}

std::optional<ServerName> Coordinator::wildcard_for(const ServerName& name,
                                                    const GrantPtr& grant) const {
  if (grant == nullptr || !grant->wildcard || name.is_wildcard()) return std::nullopt;
  std::optional<ServerName> wildcard = name.wildcard();
  if (!wildcard || !guard_name(*wildcard)) return std::nullopt;
  if (parts_.proves_wildcards && parts_.proves_wildcards(grant)) return wildcard;
  parts_.log.warning("wildcard_not_possible",
                     "the ask endpoint grants a wildcard, but no issuer can prove one: put "
                     "\"dns-01\" into issuers[].acme.challenges; the name alone is ordered",
                     {{"name", name.text()}});
  return std::nullopt;
}

// The order, its row and its failures are the wildcard's: names under it share them.
Task<CertificatePtr> Coordinator::issue_wildcard(ServerName name, ServerName wildcard,
                                                 Decision decision, Want& want, Visit& visit) {
  const Slot slot = slot_to_order(decision.grant, visit.slot);
  if (!parts_.issuances.running_for({wildcard, slot})) {
    Task<NameRecord> finding = parts_.store.find_name(wildcard, slot);
    Result<NameRecord> found = co_await std::move(finding).result();
    if (!found) {
      parts_.issuances.doubt_store();
      co_return std::move(found).error().in("looking for what is stored of " + wildcard.text());
    }
    visit.record = *std::move(found);
  } else {
    visit.record = {};  // it was the name's own
  }
  const NameRecord& record = visit.record;
  if (record.failure) parts_.ledger.learn(wildcard, *record.failure);
  if (std::optional<Error> early = too_early(wildcard, decision)) {
    counts_.too_early.add();
    co_return *std::move(early);
  }
  CertificatePtr certificate = record.certificate;
  // From before the grant said that it is to be RSA.
  const bool of_no_use =
      certificate != nullptr && visit.slot == Slot::kRsa && !certificate->is_rsa();
  if (certificate == nullptr || of_no_use || certificate->expired_at(parts_.clock.wall_now())) {
    Issuances::Job job{wildcard, slot};
    job.grant = decision.grant;
    if (record.info && record.info->name == wildcard) {
      job.predecessor = record.certificate;
      job.info = record.info;
    }
    job.pending = record.order;
    Task<CertificatePtr> issuing = issue(std::move(job), want, visit.expired != nullptr);
    certificate = co_await std::move(issuing);
  }
  keep_in_memory(name, slot, certificate, extras(decision));
  co_return certificate;
}

CertificatePtr Coordinator::expired_in_memory(const ServerName& name, Slot slot) const {
  CertificatePtr cached = parts_.cache.find(name, slot);
  const bool expired = cached != nullptr && cached->expired_at(parts_.clock.wall_now());
  return expired ? cached : nullptr;
}

// Where an old certificate can do instead, an order is not waited for as long.
Task<CertificatePtr> Coordinator::issue(Issuances::Job job, Want& want, bool has_expired) {
  const SlotName name{job.name, job.slot};
  const Millis spent = parts_.issuances.running_for(name).value_or(Millis(0));
  Task<CertificatePtr> issuing = parts_.issuances.issue(std::move(job), want);
  if (!has_expired || options_.expired == Expired::kRefuse) {
    co_return co_await std::move(issuing).result();
  }
  const Millis left = std::max(options_.expired_patience - spent, Millis(0));
  co_return co_await within(parts_.clock, left, std::move(issuing));
}

// What an unhappy end comes to for a name that has an expired certificate.
Result<CertificatePtr> Coordinator::instead_of_fresh(const ServerName& name, const Visit& visit,
                                                     Error why) {
  if (visit.expired == nullptr || why.code == ErrorCode::kDenied) return why;
  if (options_.expired == Expired::kServe) {
    counts_.expired_served.add();
    return visit.expired;
  }
  if (options_.expired == Expired::kRefuse) return why;
  auto made = parts_.stand_in(name);
  if (!made) return std::move(made).error().in("a self-signed certificate");
  counts_.self_signed_served.add();
  return made;
}

std::optional<Error> Coordinator::remembered_refusal(const ServerName& name, Slot slot) {
  const bool is_absent = absent(slot).find(name, parts_.clock.now()).has_value();
  if (!is_absent && !options_.refuse_denied) return std::nullopt;
  const Decision known = parts_.policy.decide_without_asking(name);
  if (known.verdict == Verdict::kDeny) return Error{ErrorCode::kDenied, known.reason};
  if (!is_absent) return std::nullopt;
  if (known.grant != nullptr && known.grant->wildcard) {
    const auto wildcard = name.wildcard();
    if (wildcard && parts_.ledger.find(*wildcard) != nullptr) return too_early(*wildcard, known);
  }
  return too_early(name, known);
}

std::optional<Error> Coordinator::too_early(const ServerName& name, const Decision& known) const {
  const FailureRecord* failed = parts_.ledger.find(name);
  if (failed == nullptr) return std::nullopt;
  // The limit on names that only the endpoint allows is none for those that were listed since.
  const bool listed = known.verdict == Verdict::kAllow && !known.from_ask();
  if (failed->failure == FailureClass::kPolicy && listed) return std::nullopt;
  return parts_.ledger.refusal(*failed);
}

Task<CertificatePtr> Coordinator::look_in_store(ServerName name, Visit& visit) {
  Task<NameRecord> finding = parts_.store.find_name(name, visit.slot);
  Result<NameRecord> found = co_await std::move(finding).result();
  if (!found) {
    parts_.issuances.doubt_store();
    parts_.log.error("store_read_failed", found.error().message, {{"name", name.text()}});
    co_return std::move(found).error().in("looking for a stored certificate");
  }
  visit.record = *std::move(found);
  const NameRecord& record = visit.record;
  if (record.failure) parts_.ledger.learn(name, *record.failure);
  const CertificatePtr certificate = record.certificate;
  if (certificate != nullptr && !certificate->expired_at(parts_.clock.wall_now()))
    co_return certificate;
  absent(visit.slot).set(name, 1, parts_.clock.now() + kAbsentFor);
  if (certificate == nullptr || visit.expired != nullptr) co_return CertificatePtr();
  // In memory from now on, so that what is done about it needs no further look.
  visit.expired = certificate;
  NameExtras beside;
  if (record.verdict) beside.grant = std::make_shared<const Grant>(record.verdict->grant);
  keep_in_memory(name, slot_of(record, visit.slot), certificate, std::move(beside));
  co_return CertificatePtr();
}

// A valid certificate is served whatever the ask endpoint or the ledger say, save that with
// refuse_denied a denial (but no doubt) counts.
Task<CertificatePtr> Coordinator::serve_stored(ServerName name, Slot slot, NameRecord record) {
  Decision decision;
  decision.verdict = Verdict::kAllow;
  if (options_.refuse_denied) {
    Task<Decision> deciding = parts_.policy.decide(name, AskReason::kServe, record.verdict);
    decision = co_await std::move(deciding);
    if (decision.verdict == Verdict::kDeny) co_return denied(name, decision);
  }
  if (decision.grant == nullptr && record.verdict) {
    decision.grant = std::make_shared<const Grant>(record.verdict->grant);
    decision.fresh_until = record.verdict->until;
    decision.source = VerdictSource::kRemembered;
  }
  if (decision.verdict == Verdict::kUnknown) {
    decision.fresh_until = later(parts_.clock.wall_now(), kRecheckSoon);
  }
  counts_.from_store.add();
  NameExtras beside = extras(decision);
  // Nothing is known of the endpoint's word about it: it may have one about the route.
  const bool asks = parts_.policy.decide_without_asking(name).verdict == Verdict::kUnknown;
  if (asks && !record.verdict) beside.recheck_at = parts_.clock.wall_now();
  keep_in_memory(name, slot_of(record, slot), record.certificate, std::move(beside));
  co_return record.certificate;
}

// What belongs to a wildcard is kept under it alone, so that its renewal is everybody's.
void Coordinator::keep_in_memory(const ServerName& name, Slot slot,
                                 const CertificatePtr& certificate, NameExtras beside) {
  const auto& own = certificate->names();
  const auto wildcard = name.wildcard();
  const auto has = [&own](const ServerName& one) {
    return std::find(own.begin(), own.end(), one.text()) != own.end();
  };
  if (!has(name) && wildcard && has(*wildcard)) {
    const CertificatePtr present = parts_.cache.find(*wildcard, slot);
    if (present == nullptr || present->not_before() <= certificate->not_before()) {
      parts_.cache.put(*wildcard, certificate, {}, slot);
    }
    parts_.cache.put_extras(name, std::move(beside));
  } else {
    parts_.cache.put(name, certificate, std::move(beside), slot);
  }
  if (parts_.loaded) parts_.loaded(name, slot, certificate);
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
    out.recheck_at =
        std::min(out.recheck_at, later(parts_.clock.wall_now(), options_.recheck_every));
  }
  return out;
}

Error Coordinator::denied(const ServerName& name, const Decision& decision) {
  counts_.denied.add();
  parts_.log.debug("denied", decision.reason, {{"name", name.text()}});
  return {ErrorCode::kDenied, decision.reason};
}

std::optional<Error> Coordinator::over_new_name_limit(const ServerName& name,
                                                      const Decision& decision,
                                                      const Visit& visit) {
  // Not new: it has had a certificate, or a try at one.
  const bool has_main = visit.slot == Slot::kRsa && parts_.cache.find(name) != nullptr;
  if (!decision.from_ask() || visit.record.certificate != nullptr || has_main ||
      parts_.ledger.failures(name) > 0 || admitted_.find(name, parts_.clock.now())) {
    return std::nullopt;
  }
  const std::string domain = registered_domain(name);
  const TimePoint now = parts_.clock.now();
  const std::optional<TimePoint> at = parts_.budget.take_new_name(domain, now);
  if (!at) {
    admitted_.set(name, 1, now + kAdmittedFor);
    parts_.keeper.changed();
    return std::nullopt;
  }
  Error over{ErrorCode::kThrottled,
             "too many new names under " + domain +
                 " (on_demand.per_registered_domain); the next one is taken in " +
                 std::to_string((*at - now).count() / 1000) +
                 " s: raise the limit, or put the names into the allowlist",
             *at - now};
  parts_.log.warning("new_names_over_limit", over.message,
                     {{"name", name.text()}, {"domain", domain}});
  return over;
}

Task<Coordinator::Plain> Coordinator::may_be_served(ServerName name, Want&) {
  const CacheHit cached = parts_.cache.look_up(name, WallTime::min());
  if (cached.configured) co_return Plain::kServed;
  if (cached.certificate != nullptr) co_return served_or_plain(name, cached.certificate);
  if (const std::optional<Error> refused = remembered_refusal(name, Slot::kMain)) {
    // What failed is wanted all the same.
    co_return refused->code == ErrorCode::kDenied ? Plain::kUnknown : Plain::kServed;
  }
  Visit visit;
  if (options_.http_fallback ||
      parts_.policy.decide_without_asking(name).verdict != Verdict::kAllow) {
    Task<CertificatePtr> looking = look_in_store(name, visit);
    const CertificatePtr found = co_await std::move(looking);
    if (found != nullptr) co_return Plain::kServed;
    Task<Decision> deciding = parts_.policy.decide(name, AskReason::kIssue, visit.record.verdict);
    const Decision decision = co_await std::move(deciding);
    if (decision.verdict == Verdict::kDeny) counts_.denied.add();
    const bool unknown_but_expired =
        decision.verdict == Verdict::kUnknown && visit.expired != nullptr;
    if (unknown_but_expired) co_return served_or_plain(name, visit.expired);
    if (decision.verdict != Verdict::kAllow) co_return Plain::kUnknown;
  }
  parts_.later(name, Millis(0));
  co_return served_or_plain(name, visit.expired);
}

Coordinator::Plain Coordinator::served_or_plain(const ServerName& name,
                                                const CertificatePtr& certificate) const {
  const bool lapsed = certificate != nullptr && certificate->expired_at(parts_.clock.wall_now());
  if (!options_.http_fallback || !lapsed) return Plain::kServed;
  // It has been tried, and failed.
  return parts_.ledger.find(name) != nullptr ? Plain::kPlainOnly : Plain::kServed;
}

Task<Unit> Coordinator::recheck(ServerName name, Want&) {
  // Strangers may invent names under a wildcard: a denial that holds costs no I/O.
  if (!parts_.cache.look_up(name, WallTime::min()).exact &&
      parts_.policy.decide_without_asking(name).verdict == Verdict::kDeny) {
    co_return Unit{};
  }
  // With its row, so that a no takes it away.
  Task<NameRecord> finding = parts_.store.find_name(name);
  Result<NameRecord> record = co_await std::move(finding).result();
  std::optional<VerdictRecord> row;
  if (record) row = std::move(record->verdict);
  const bool has_row = row.has_value();
  Task<Decision> deciding = parts_.policy.decide(name, AskReason::kServe, std::move(row));
  Decision decision = co_await std::move(deciding);
  const CacheHit hit = parts_.cache.look_up(name, WallTime::min());
  if (hit.certificate == nullptr) co_return Unit{};
  const bool by_wildcard = !hit.exact && !hit.configured;
  if (by_wildcard && decision.verdict == Verdict::kDeny) co_return Unit{};  // which covers it still
  const auto& own = hit.certificate->names();
  const bool invented = std::find(own.begin(), own.end(), name.text()) == own.end();
  if (decision.verdict == Verdict::kAllow && (has_row || !invented || may_keep_invented())) {
    parts_.policy.keep(name);
  }
  if (decision.verdict == Verdict::kDeny && options_.refuse_denied) {
    parts_.log.warning("denied_name_ended", "it is refused from now on: " + decision.reason,
                       {{"name", name.text()}});
    parts_.cache.erase(name);
    co_return Unit{};
  }
  if (decision.verdict != Verdict::kAllow) {  // it is served on, by what was said before
    decision.grant = hit.grant;
    decision.fresh_until = later(parts_.clock.wall_now(), kRecheckSoon);
  }
  NameExtras beside = extras(decision);
  // Whether it has a route is not known yet.
  if (decision.verdict == Verdict::kUnknown) beside.recheck_at = decision.fresh_until;
  if (by_wildcard) {
    parts_.cache.put_extras(name, std::move(beside));
  } else {
    parts_.cache.set_extras(name, std::move(beside));
  }
  co_return Unit{};
}

// Else the endpoint is asked again after a restart.
bool Coordinator::may_keep_invented() {
  const TimePoint now = parts_.clock.now();
  if (now - kept_since_ >= kKeptIn) {
    kept_since_ = now;
    kept_ = 0;
  }
  return ++kept_ <= kMostKept;
}

// Never fails: a row that stays makes the next failure's wait longer, no more.
Task<> Coordinator::forget_failures(ServerName name) {
  Task<> forgetting = parts_.ledger.forget(name);
  const Result<> forgotten = co_await std::move(forgetting).result();
  if (!forgotten) {
    parts_.issuances.doubt_store();
    parts_.log.error("store_write_failed", "forgetting failures: " + forgotten.error().message,
                     {{"name", name.text()}});
  }
  co_return Unit{};
}

void Coordinator::forget_in_memory(const ServerName& name) {
  parts_.policy.forget(name);
  parts_.cache.erase(name);
  parts_.ledger.forget_in_memory(name);
}

Task<> Coordinator::forget(ServerName name) {
  forget_in_memory(name);
  Task<> forgetting = forget_failures(name);
  co_await std::move(forgetting);
  Task<> deleting = parts_.store.delete_name(name);
  co_return co_await std::move(deleting).result();
}

void Coordinator::stored(const ServerName& name, Slot slot, const CertificatePtr& certificate) {
  if (on_stored) on_stored(name, slot, certificate);
  for (NameMarks* const marks : {&absent_, &absent_twins_}) {
    marks->erase(name);
    for (const std::string& own : certificate->names()) {
      if (own.starts_with("*.")) {  // any of those under it may have been marked
        marks->clear();
        break;
      }
      if (auto parsed = ServerName::parse(own, {.underscore = true})) marks->erase(*parsed);
    }
  }
}

}  // namespace latchkey
