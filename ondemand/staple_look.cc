// One certificate: its responder is asked, and what came of it is written down.

#include <algorithm>

#include "base/json.h"
#include "base/url.h"
#include "base/within.h"
#include "ondemand/staple_times.h"
#include "ondemand/staples_impl.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kAskLimit = 30s;  // the source's own limits are shorter
constexpr Millis kPlaceLimit = 2min;
constexpr Millis kShortOutage = 2min, kLongOutage = 1h;
constexpr Millis kRevokedWait = 1h;   // before it is asked about again, if we are restarted
constexpr Millis kUselessWait = 24h;  // where asking again changes nothing
constexpr Millis kUnreadWait = 10min;
// Longer than a staple goes without a refresh, shorter than what a clock must have written that ran
// ahead.
constexpr std::chrono::hours kRowLook{190};
constexpr int kTriesToTell = 3;
constexpr size_t kMaxTroubles = 20'000;
constexpr size_t kMaxRevoked = 100'000;  // 100 bytes each

int64_t seconds_of(WallTime time) {
  return time.time_since_epoch().count();
}

}  // namespace

class Staples::Impl::JobEnd {
 public:
  JobEnd(Impl& impl, std::string leaf) : impl_(impl), leaf_(std::move(leaf)) {
    impl_.jobs.try_emplace(leaf_);
  }
  ~JobEnd() {
    if (impl_.closing) return;
    const Error nothing{ErrorCode::kNotFound, "no OCSP staple"};
    impl_.resolve(leaf_, nothing);
    impl_.jobs.erase(leaf_);
    if (impl_.crowded) impl_.schedule(0ms);
  }
  JobEnd(const JobEnd&) = delete;

 private:
  Impl& impl_;
  const std::string leaf_;
};

// --- whose staple it is

Task<> Staples::Impl::look(StapleRecord row) {
  const JobEnd end(*this, row.leaf);
  Task<CertificatePtr> finding = find(row);
  const Result<CertificatePtr> found = co_await std::move(finding).result();
  if (!found) {
    // It may be this one row that cannot be read: no other must wait for it.
    parts.log.error("staple_look_failed", found.error().message, {{"name", row.name}});
    row.look_at = wall() + std::chrono::ceil<std::chrono::seconds>(about(kUnreadWait, random));
    Task<> putting = parts.store.put_staple(std::move(row));
    const Result<> put = co_await std::move(putting).result();
    if (!put) store_failed(found.error(), false);
    co_return Unit{};
  }
  const CertificatePtr& certificate = *found;
  const auto name = name_of(row.name);
  Result<> written = Unit{};
  const auto own = configured.find(row.leaf);
  if (own != configured.end()) {  // looked at from memory, where a newer one may be
    if (own->second.staple != nullptr) row.staple = own->second.staple;
    row.look_at = look_at_of_row(row.staple);
    Task<> putting = parts.store.put_staple(row);
    written = co_await std::move(putting).result();
  } else if (certificate == nullptr || certificate->ocsp_responder().empty() || !name) {
    Task<> deleting = parts.store.delete_staple(row.leaf);
    written = co_await std::move(deleting).result();
  } else {
    Subject subject{*name, static_cast<Slot>(row.slot), certificate, row.leaf, row.staple};
    Task<> refreshing = refresh(std::move(subject));
    written = co_await std::move(refreshing).result();
  }
  if (!written) store_failed(written.error(), true);
  co_return Unit{};
}

Task<> Staples::Impl::look_now(Subject subject) {
  const JobEnd end(*this, subject.leaf);
  Task<> refreshing = refresh(std::move(subject));
  const Result<> written = co_await std::move(refreshing).result();
  if (!written) store_failed(written.error(), true);
  co_return Unit{};
}

// Null: it is in use under that name no more.
Task<CertificatePtr> Staples::Impl::find(StapleRecord row) {
  const auto name = name_of(row.name);
  if (!name) co_return CertificatePtr();
  const Slot slot = static_cast<Slot>(row.slot);
  const CertificatePtr cached = parts.cache.find(*name, slot);
  if (cached != nullptr && cached->leaf_hash() == row.leaf) co_return cached;
  Task<CertificatePtr> finding = parts.store.find_certificate(*name, slot);
  const CertificatePtr stored = co_await std::move(finding);
  if (stored != nullptr && stored->leaf_hash() == row.leaf) co_return stored;
  co_return CertificatePtr();
}

// --- what is to be done about it

// Fails where the outcome cannot be written.
Task<> Staples::Impl::refresh(Subject subject) {
  const WallTime now = wall();
  drop_expired(subject);
  Task<> next;
  if (subject.certificate->expired_at(now)) {
    next = ended(std::move(subject));
    co_return co_await std::move(next).result();
  }
  if (told_revoked.contains(subject.leaf)) {
    const WallTime later = in(kUselessWait, subject);
    next = write(std::move(subject), later);
    co_return co_await std::move(next).result();
  }
  // Asked for before, when it could not be written.
  const CertificatePtr cached = parts.cache.find(subject.name, subject.slot);
  const StaplePtr held =
      cached != nullptr && cached->same_leaf(*subject.certificate) ? cached->staple() : nullptr;
  if (held != nullptr &&
      (subject.staple == nullptr || subject.staple->this_update < held->this_update)) {
    subject.staple = held;
    subject.staple_changed = true;
    const auto life = held->next_update - held->this_update;
    if (now < held->this_update + life / 3) {
      const WallTime later = refresh_at(*held, now, random);
      next = write(std::move(subject), later);
      co_return co_await std::move(next).result();
    }
  }
  auto visit = responders.visit(subject.certificate->ocsp_responder(), is_awaited(subject.leaf));
  if (!visit) {
    next = put_off(std::move(subject), 0ms);
    co_return co_await std::move(next).result();
  }
  Task<> entering = visit->enter(kPlaceLimit);
  const Result<> entered = co_await std::move(entering).result();
  if (!entered) {
    next = put_off(std::move(subject), visit->down_for());
    co_return co_await std::move(next).result();
  }
  Task<StapleAnswer> asking = ask(subject.certificate);
  const Result<StapleAnswer> answer = co_await std::move(asking).result();
  if (answer) {
    visit->succeeded();
    next = answer->status == StapleAnswer::Status::kGood
               ? succeeded(std::move(subject), answer->staple)
               : revoked(std::move(subject), *answer);
  } else {
    const Error& error = answer.error();
    if (error.code == ErrorCode::kNotFound) {
      visit->succeeded();
    } else if (error.code != ErrorCode::kInvalid && visit->failed(error.retry_after)) {
      responder_opened(visit->responder(), error);
    }
    next = failed(std::move(subject), error, visit->down_for() > 0ms);
  }
  co_return co_await std::move(next).result();
}

Task<StapleAnswer> Staples::Impl::ask(CertificatePtr certificate) {
  Task<StapleAnswer> fetching = parts.source.fetch(std::move(certificate));
  StapleAnswer answer = co_await within(parts.clock, kAskLimit, std::move(fetching));
  co_return answer;
}

// The certificate has expired; nobody answers for it any more.
Task<> Staples::Impl::ended(Subject subject) {
  Task<> next;
  if (!subject.certificate->expired_at(cautious.now())) {
    const WallTime later = in(kUselessWait / 24, subject);
    next = write(std::move(subject), later);
  } else if (configured.contains(subject.leaf)) {
    next = write(std::move(subject), RenewalPlan::kNever);
  } else {
    next = parts.store.delete_staple(subject.leaf);
  }
  co_return co_await std::move(next).result();
}

// For want of a place, or of a responder that answers: then the longer the longer it has been down.
// Spread over half to one and a half of the wait.
Task<> Staples::Impl::put_off(Subject subject, Millis down_for) {
  const Millis wait = std::clamp(down_for, kShortOutage, kLongOutage);
  const double part = std::uniform_real_distribution<double>(0.5, 1.5)(random);
  const WallTime later =
      in(Millis(static_cast<int64_t>(static_cast<double>(wait.count()) * part)), subject);
  Task<> writing = write(std::move(subject), later);
  co_return co_await std::move(writing).result();
}

// --- what came of it

Task<> Staples::Impl::succeeded(Subject subject, StaplePtr staple) {
  counts.fetched.add();
  troubles.erase(subject.leaf);
  const WallTime now = wall();
  // Of several responders behind one name one may lag behind.
  const bool older = subject.staple != nullptr && subject.staple->good_at(now) &&
                     staple->this_update < subject.staple->this_update;
  if (!older) put_in_use(subject, std::move(staple));
  const StaplePtr in_use = subject.staple;
  parts.log.info("staple_updated", "the OCSP staple is fresh",
                 {{"name", subject.name.text()},
                  {"serial", subject.certificate->serial()},
                  {"responder", url_without_secrets(subject.certificate->ocsp_responder())},
                  {"seconds_left", seconds_of(in_use->next_update) - seconds_of(now)}});
  resolve(subject.leaf, in_use);
  const WallTime later = refresh_at(*in_use, now, random);
  Task<> writing = write(std::move(subject), later);
  co_return co_await std::move(writing).result();
}

// It is written down before it is told: what is done about it may delete the row.
Task<> Staples::Impl::revoked(Subject subject, StapleAnswer answer) {
  counts.revoked.add();
  troubles.erase(subject.leaf);
  put_in_use(subject, nullptr);
  const bool room = told_revoked.size() < kMaxRevoked;
  const bool is_new = room && told_revoked.insert(subject.leaf).second;
  const WallTime later = room ? in(about(kRevokedWait, random), subject) : RenewalPlan::kNever;
  Task<> writing = write(subject, later);
  const Result<> written = co_await std::move(writing).result();
  const Error refused{ErrorCode::kDenied, "the certificate is revoked: " + answer.reason};
  resolve(subject.leaf, refused);
  if (is_new || !room) {
    parts.log.error("certificate_revoked", "its CA says that the certificate is revoked",
                    {{"name", subject.name.text()},
                     {"serial", subject.certificate->serial()},
                     {"reason", answer.reason},
                     {"revoked_at", seconds_of(answer.revoked_at)}});
    tell(event_kind::kRevoked, subject,
         "its CA says that the certificate " + subject.certificate->serial() +
             " is revoked: " + answer.reason,
         answer.reason);
    if (parts.revoked) {
      parts.revoked(subject.name, subject.slot, subject.certificate, answer.reason);
    }
  }
  co_return written;
}

Task<> Staples::Impl::failed(Subject subject, Error error, bool is_down) {
  counts.failed.add();
  const WallTime now = wall();
  Trouble& trouble = trouble_of(subject.leaf);
  // Somebody who waits for it tries again soon, which says little about the responder.
  if (trouble.tries == 0 || !is_awaited(subject.leaf)) ++trouble.tries;
  Millis wait = retry_wait(trouble.tries, subject.staple, now, random);
  wait = std::max(wait, std::min(error.retry_after, kLongOutage));
  if (error.code == ErrorCode::kInvalid) wait = about(kUselessWait, random);
  const bool good = subject.staple != nullptr && subject.staple->good_at(now);
  parts.log.warning(
      "staple_failed", error.message,
      {{"name", subject.name.text()},
       {"serial", subject.certificate->serial()},
       {"tries", trouble.tries},
       {"next_try_s", static_cast<int64_t>(wait / 1s)},
       {"staple_left_s", good ? seconds_of(subject.staple->next_update) - seconds_of(now) : 0}});
  if (trouble.tries >= kTriesToTell && !trouble.told && !is_down) {
    trouble.told = true;
    tell(event_kind::kStapleFailed, subject,
         "no fresh OCSP staple for the certificate " + subject.certificate->serial() + " after " +
             std::to_string(trouble.tries) + " tries: " + error.message,
         "");
  }
  resolve(subject.leaf, error);
  const WallTime later = in(wait, subject);
  Task<> writing = write(std::move(subject), later);
  co_return co_await std::move(writing).result();
}

// One for all certificates that have it.
void Staples::Impl::responder_opened(const std::string& responder, const Error& error) {
  parts.log.warning("responder_down",
                    "the OCSP responder fails again and again and is asked once a minute",
                    {{"responder", url_without_secrets(responder)}, {"error", error.message}});
  Event event;
  event.kind = event_kind::kStapleFailed;
  event.text = "the OCSP responder " + url_without_secrets(responder) + " fails: " + error.message;
  event.details = JsonObject().text("responder", url_without_secrets(responder)).str();
  parts.events.tell(std::move(event));
}

Staples::Impl::Trouble& Staples::Impl::trouble_of(const std::string& leaf) {
  if (troubles.size() >= kMaxTroubles && !troubles.contains(leaf)) troubles.erase(troubles.begin());
  return troubles[leaf];
}

// --- memory and store

void Staples::Impl::drop_expired(Subject& subject) {
  if (subject.staple == nullptr || subject.staple->good_at(cautious.now())) return;
  counts.dropped.add();
  parts.log.warning("staple_dropped", "the OCSP staple has expired and is stapled no more",
                    {{"name", subject.name.text()}, {"serial", subject.certificate->serial()}});
  put_in_use(subject, nullptr);
}

void Staples::Impl::put_in_use(Subject& subject, StaplePtr staple) {
  subject.staple = std::move(staple);
  subject.staple_changed = true;
  const auto found = configured.find(subject.leaf);
  if (found != configured.end()) {
    found->second.staple = subject.staple;
    subject.certificate = found->second.certificate;  // read again meanwhile, maybe
  }
  parts.cache.restaple(subject.certificate->with_staple(subject.staple));
}

Task<> Staples::Impl::write(Subject subject, WallTime look_at) {
  // It may have come or gone while its responder was asked.
  const bool from_memory = configured.contains(subject.leaf);
  if (from_memory) {
    plan_configured(subject.leaf, look_at);
    if (!subject.staple_changed) co_return Unit{};
    look_at = look_at_of_row(subject.staple);
  }
  StapleRecord row{subject.leaf, subject.name.text(), static_cast<uint8_t>(subject.slot)};
  row.staple = subject.staple;
  row.look_at = look_at;
  row.end = subject.certificate->not_after();
  Task<> putting = parts.store.put_staple(std::move(row));
  const Result<> put = co_await std::move(putting).result();
  if (put && look_at != RenewalPlan::kNever) {
    schedule(std::max<Millis>(0ms, std::min<std::chrono::seconds>(look_at - wall(), 24h)));
  }
  co_return put;
}

WallTime Staples::Impl::look_at_of_row(const StaplePtr& staple) const {
  const WallTime now = wall();
  if (staple == nullptr || !staple->good_at(now)) return RenewalPlan::kNever;
  // Memory refreshes it at the half.
  const auto quarter = (staple->next_update - staple->this_update) / 4;
  const WallTime late = std::min<WallTime>(staple->next_update - quarter, now + kRowLook);
  return late > now ? late : staple->next_update;
}

bool Staples::Impl::is_awaited(const std::string& leaf) const {
  const auto found = jobs.find(leaf);
  return found != jobs.end() && !found->second.waiters.alone();
}

// Whoever waits may do anything, so they are taken off the job first.
void Staples::Impl::resolve(const std::string& leaf, const Result<StaplePtr>& outcome) {
  const auto found = jobs.find(leaf);
  if (found == jobs.end()) return;
  Link waiters;
  waiters.take(found->second.waiters);
  while (!waiters.alone()) {
    auto& next = static_cast<Waiter&>(waiters.next());
    next.unlink();
    next.alarm.reset();
    next.turn.resolve(outcome);
  }
}

WallTime Staples::Impl::in(Millis wait, const Subject& subject) const {
  const WallTime now = wall();
  const WallTime at = now + std::chrono::ceil<std::chrono::seconds>(wait);
  const bool good = subject.staple != nullptr && subject.staple->good_at(now);
  return good ? std::min(at, subject.staple->next_update) : at;
}

void Staples::Impl::tell(std::string_view kind, const Subject& subject, std::string text,
                         std::string reason) {
  JsonObject details;
  details.text("serial", subject.certificate->serial());
  details.text("responder", url_without_secrets(subject.certificate->ocsp_responder()));
  if (!reason.empty()) details.text("reason", reason);
  Event event;
  event.kind = kind;
  event.name = subject.name.text();
  event.text = std::move(text);
  event.details = details.str();
  parts.events.tell(std::move(event));
}

}  // namespace latchkey
