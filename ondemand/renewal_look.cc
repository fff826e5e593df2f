// One certificate that is due for a look.
#include <algorithm>
#include <utility>

#include "base/json.h"
#include "ondemand/renewals.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using std::chrono::ceil;
using std::chrono::seconds;

constexpr seconds kNotFound = std::chrono::hours(24);
constexpr Millis kLaneCheck = std::chrono::minutes(10);  // calendar time may jump
constexpr Millis kFirstRetry = 60s;
constexpr int kRetryGrowth = 4;
constexpr uint16_t kMostTries = 8;
constexpr Millis kRemembered = std::chrono::hours(48);
constexpr Millis kLeastPutOff = 10s, kMostPutOff = std::chrono::hours(1);

// Of the first, second, ... time in a row.
Millis growing_wait(int times, Millis most) {
  Millis wait = kFirstRetry;
  for (int i = 1; i < times && wait < most; ++i) wait *= kRetryGrowth;
  return std::min(wait, most);
}

std::string date(WallTime time) {
  return std::to_string(time.time_since_epoch().count());
}

// Does the name lead to that certificate?
bool is_of(const NameRecord& record, const CertificateInfo& info) {
  return record.certificate != nullptr && record.info && record.info->id == info.id;
}

}  // namespace

// The name is being looked at, until this goes.
struct Renewals::Looking {
  Looking(Renewals& renewals_in, SlotName name_in)
      : renewals(renewals_in), name(std::move(name_in)) {}
  ~Looking() { renewals.looking_.erase(name); }
  Looking(const Looking&) = delete;

  Renewals& renewals;
  const SlotName name;
};

// ... and ordered, or waiting for the budget.
struct Renewals::Ordering {
  Ordering(Renewals& renewals_in, std::string issuer_in)
      : renewals(renewals_in), issuer(std::move(issuer_in)) {
    ++renewals.ordering_;
    ++renewals.ordering_at_[issuer];
  }
  ~Ordering() {
    --renewals.ordering_;
    const auto found = renewals.ordering_at_.find(issuer);
    if (--found->second == 0) renewals.ordering_at_.erase(found);
  }
  Ordering(const Ordering&) = delete;

  Renewals& renewals;
  const std::string issuer;
};

// Moves a want that waits into the urgent lane when the time has come.
struct Renewals::Urgency {
  Urgency(Renewals& renewals_in, Want& want_in, const CertificateInfo& info)
      : renewals(renewals_in), want(want_in), not_before(info.not_before), end(info.end) {
    arm();
  }
  Urgency(const Urgency&) = delete;

  void arm() {
    Clock& clock = renewals.parts_.clock;
    const WallTime now = clock.wall_now();
    if (is_urgent(not_before, end, now)) return want.set_lane(Lane::kUrgentRenewal);
    const Millis left = urgent_from(not_before, end) - now + 1s;
    alarm = clock.after(std::min(left, kLaneCheck), [this] {
      const Alarm fired = std::move(alarm);
      arm();
    });
  }

  Renewals& renewals;
  Want& want;
  const WallTime not_before, end;
  Alarm alarm;
};

Task<> Renewals::look(CertificateInfo info) {
  {
    const Looking looking(*this, {info.name, info.slot});
    counts_.looked.add();
    if (!round_) round_ = Round{parts_.clock.now()};
    ++round_->looked;
    note_expiry(info);
    Task<std::optional<RenewalPlan>> considering = consider(info);
    Result<std::optional<RenewalPlan>> plan = co_await std::move(considering).result();
    if (!plan) {
      // It may be this one row that cannot be read: no other must wait for it.
      parts_.issuances.doubt_store();
      parts_.log.error("renewal_look_failed", plan.error().message, {{"name", info.name.text()}});
      plan = std::optional(put_off(info, info.plan));
    }
    if (*plan) {
      note_expiry(info);
      Task<> writing = write_plan(std::move(info), **plan);
      co_await std::move(writing);
    } else {
      look_soon();  // there is another certificate
    }
  }
  look_ended();
  co_return Unit{};
}

Task<> Renewals::write_plan(CertificateInfo info, RenewalPlan plan) {
  // So that its end is seen.
  if (parts_.clock.wall_now() < info.end && plan.look_at != RenewalPlan::kNever) {
    plan.look_at = std::min(plan.look_at, info.end);
  }
  const WallTime next = plan.look_at;
  Task<> putting = parts_.store.put_plan(info.id, plan);
  const Result<> put = co_await std::move(putting).result();
  if (!put) {
    store_failed(put.error(), true);
    co_return Unit{};
  }
  store_worked(true);
  const WallTime now = parts_.clock.wall_now();
  if (next < now + ceil<seconds>(options_.look_again)) {
    schedule(std::max(seconds(0), next - now));
  }
  co_return Unit{};
}

Task<std::optional<RenewalPlan>> Renewals::consider(CertificateInfo info) {
  RenewalPlan plan = info.plan;
  const auto lacks_place = [this](const CertificateInfo& of, const RenewalPlan& by) {
    return by.renew_at <= parts_.clock.wall_now() && !place_for(of);
  };
  if (info.slot == Slot::kRsa && !parts_.twins) {
    plan.look_at = RenewalPlan::kNever;  // until a visit, when they are served again
    co_return plan;
  }
  if (lacks_place(info, plan)) co_return put_off(info, plan);

  if (parts_.is_configured && parts_.is_configured(info.name)) {
    // Until the operator takes his certificate away.
    plan.look_at = parts_.clock.wall_now() + kNotFound;
    co_return plan;
  }
  Task<NameRecord> finding = parts_.store.find_name(info.name, info.slot);
  NameRecord record = co_await std::move(finding);
  if (!is_of(record, info)) co_return left_alone(plan);
  info = *record.info;
  plan = info.plan;
  if (record.failure) parts_.ledger.learn(info.name, *record.failure);
  if (correct_times(plan, info.not_before, info.end, parts_.issuances.rules(),
                    parts_.clock.wall_now(), random_)) {
    counts_.corrected.add();
  }
  if (!is_given_up(plan)) {
    Task<> polling = poll(record.certificate, info, plan);
    co_await std::move(polling);
    if (parts_.clock.wall_now() < plan.renew_at) {
      plan.look_at = std::min(plan.renew_at, plan.poll_at);
      co_return plan;
    }
  }
  if (!is_visited(info, plan)) co_return plan;
  Task<Decision> asking = ask_policy(info.name, record.verdict);
  const Decision decision = co_await std::move(asking);
  if (!is_wanted(info, plan, decision)) co_return plan;
  note_due(info);
  if (const auto early = not_before(info)) {
    plan.look_at = *early;
    co_return plan;
  }
  // Asking has taken its time: a visitor may have brought another one, the operator have ended it.
  Task<NameRecord> reading = parts_.store.find_name(info.name, info.slot);
  record = co_await std::move(reading);
  if (!is_of(record, info)) co_return left_alone(plan);
  if (lacks_place(info, plan)) co_return put_off(info, plan);
  record.info->plan = plan;
  GrantPtr grant = decision.grant;
  if (grant == nullptr && record.verdict) {
    grant = std::make_shared<const Grant>(record.verdict->grant);
  }
  Task<std::optional<RenewalPlan>> renewing = renew(std::move(record), std::move(grant));
  co_return co_await std::move(renewing).result();
}

// Another one has taken its place, or it has gone; the write is for a row that nothing leads to.
RenewalPlan Renewals::left_alone(RenewalPlan plan) const {
  plan.look_at = parts_.clock.wall_now() + kNotFound;
  return plan;
}

// Looked at again within the hour, at a random time: those for which there is no place must not
// stand before those for which there is.
RenewalPlan Renewals::put_off(const CertificateInfo& info, RenewalPlan plan) {
  counts_.put_off.add();
  const Millis most =
      std::clamp<Millis>((info.end - info.not_before) / 100, kLeastPutOff, kMostPutOff);
  std::uniform_int_distribution<int64_t> wait(most.count() / 60, most.count());
  plan.look_at = parts_.clock.wall_now() + ceil<seconds>(Millis(wait(random_)));
  return plan;
}

Task<std::optional<RenewalPlan>> Renewals::renew(NameRecord record, GrantPtr grant) {
  const CertificateInfo info = *record.info;
  const Ordering ordering(*this, info.issuer);
  Issuances::Job job{info.name, info.slot};
  job.grant = std::move(grant);
  job.predecessor = record.certificate;
  job.info = info;
  job.pending = std::move(record.order);
  job.renewal = true;
  Want want(Lane::kRenewal);
  const Urgency urgency(*this, want, info);
  Task<CertificatePtr> issuing = parts_.issuances.issue(std::move(job), want);
  const Result<CertificatePtr> outcome = co_await std::move(issuing).result();
  if (outcome) {
    counts_.renewed.add();
    if (round_) ++round_->renewed;
    note_renewed(info.name);
    parts_.log.info("certificate_renewed", "the certificate has a successor",
                    {{"name", info.name.text()},
                     {"serial", (*outcome)->serial()},
                     {"before", info.serial},
                     {"not_after", date((*outcome)->chain_not_after())}});
    co_return std::nullopt;
  }
  counts_.failed.add();
  if (round_) ++round_->failed;
  RenewalPlan plan = info.plan;
  plan.look_at = next_try(info, outcome.error());
  co_return plan;
}

// --- when

// Of the places for orders the last fifth is for those whose time is short; where there are several
// issuers, none of them holds more than half: one that must not be asked for a day stops no other.
bool Renewals::place_for(const CertificateInfo& info) const {
  const size_t places = std::max<size_t>(1, options_.max_looking * 4 / 5);
  const bool urgent = is_urgent(info.not_before, info.end, parts_.clock.wall_now());
  if (urgent) return ordering_ < places;
  if (ordering_ >= std::max<size_t>(1, places * 4 / 5)) return false;
  if (advisors_.size() < 2) return true;
  const auto found = ordering_at_.find(info.issuer);
  return found == ordering_at_.end() || found->second < std::max<size_t>(1, places / 2);
}

std::optional<WallTime> Renewals::not_before(const CertificateInfo& info) const {
  if (const auto early = parts_.ledger.next_try(info.name)) return early;
  const TimePoint now = parts_.clock.now();
  const auto renewed = renewed_.look(info.name, now);
  if (!renewed) return std::nullopt;
  const TimePoint at = renewed->until - kRemembered;
  const Millis wait = growing_wait(renewed->code, retry_cap(info.not_before, info.end));
  if (now >= at + wait) return std::nullopt;
  return parts_.clock.wall_now() + ceil<seconds>(at + wait - now);
}

// A CA may say of each new certificate that it is to be renewed at once.
void Renewals::note_renewed(const ServerName& name) {
  tries_.erase(name);
  const TimePoint now = parts_.clock.now();
  const auto before = renewed_.find(name, now).value_or(0);
  renewed_.set(name, std::min(before, kMostTries) + 1, now + kRemembered);
}

WallTime Renewals::next_try(const CertificateInfo& info, const Error& error) {
  const TimePoint now = parts_.clock.now();
  const auto tries = std::min(tries_.find(info.name, now).value_or(0), kMostTries);
  tries_.set(info.name, static_cast<uint16_t>(tries + 1), now + kRemembered);
  const Millis cap = retry_cap(info.not_before, info.end);
  Millis wait = growing_wait(tries + 1, cap);
  if (const auto early = parts_.ledger.next_try(info.name)) {
    if (*early - parts_.clock.wall_now() > wait) {
      wait = *early - parts_.clock.wall_now();
    }
  }
  return in_about(std::min(std::max(wait, error.retry_after), cap));
}

// Up to a tenth sooner.
WallTime Renewals::in_about(Millis wait) {
  const int64_t less = std::uniform_int_distribution<int64_t>(0, wait.count() / 10)(random_);
  return parts_.clock.wall_now() + std::max(seconds(1), ceil<seconds>(wait - Millis(less)));
}

// --- telling

void Renewals::note_due(const CertificateInfo& info) {
  if (!round_) return;
  if (round_->due++ == 0) {
    parts_.log.info("maintenance_began", "certificates are due for renewal");
  }
  parts_.log.info("renewal_due", "the certificate is in its renewal window",
                  {{"name", info.name.text()},
                   {"issuer", info.issuer},
                   {"serial", info.serial},
                   {"not_after", date(info.end)}});
}

// Once: the look after this one is planned for a time behind the end.
void Renewals::note_expiry(const CertificateInfo& info) {
  if (parts_.clock.wall_now() < info.end || info.plan.look_at > info.end) return;
  bool& told = looking_.at(SlotName{info.name, info.slot}).told_of_end;
  if (std::exchange(told, true)) return;
  tell(event_kind::kExpired, info, "the certificate " + info.serial + " has expired");
}

void Renewals::tell(std::string_view kind, const CertificateInfo& info, std::string text) {
  parts_.log.warning(kind, text, {{"name", info.name.text()}, {"not_after", date(info.end)}});
  Event event;
  event.kind = kind;
  event.name = info.name.text();
  event.issuer = info.issuer;
  event.text = std::move(text);
  JsonObject details;
  details.text("serial", info.serial);
  details.number("not_before", info.not_before.time_since_epoch().count());
  details.number("not_after", info.end.time_since_epoch().count());
  event.details = details.str();
  event.keep_until =
      parts_.clock.wall_now() + std::max<seconds>(3 * (info.end - info.not_before), 90 * 24h);
  parts_.events.tell(std::move(event));
}

// --- the operator

Task<CertificatePtr> Renewals::renew_now(ServerName name, Slot slot) {
  Task<NameRecord> finding = parts_.store.find_name(name, slot);
  NameRecord record = co_await std::move(finding);
  if (record.certificate == nullptr || !record.info || record.info->name != name) {
    co_return Error{ErrorCode::kNotFound, "no certificate is stored for " + name.text() +
                                              "; obtain one with `latchkey obtain`"};
  }
  if (record.failure) parts_.ledger.learn(name, *record.failure);
  Task<Decision> deciding = parts_.policy.decide_afresh(name, AskReason::kRenew, record.verdict);
  const Decision decision = co_await std::move(deciding);
  if (decision.verdict == Verdict::kDeny) {
    co_return Error{ErrorCode::kDenied, "the policy denies the name: " + decision.reason};
  }
  Task<NameRecord> reading = parts_.store.find_name(name, slot);
  record = co_await std::move(reading);
  if (record.certificate == nullptr || !record.info || record.info->name != name) {
    co_return Error{ErrorCode::kNotFound, name.text() + " was deleted meanwhile"};
  }
  Issuances::Job job{name, slot};
  job.grant = decision.grant;
  if (job.grant == nullptr && record.verdict) {
    job.grant = std::make_shared<const Grant>(record.verdict->grant);
  }
  job.predecessor = record.certificate;
  job.info = std::move(record.info);
  job.pending = std::move(record.order);
  job.renewal = true;
  Want want(Lane::kUrgentRenewal);
  Task<CertificatePtr> issuing = parts_.issuances.issue(std::move(job), want);
  const Result<CertificatePtr> outcome = co_await std::move(issuing).result();
  if (outcome) {
    counts_.renewed.add();
    note_renewed(name);
  }
  look_soon();
  co_return outcome;
}

}  // namespace latchkey
