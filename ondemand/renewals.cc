#include "ondemand/renewals.h"

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kTurnsApart = 100ms;  // at least
constexpr Millis kCrowdedWait = 1s;    // for places, while none of them becomes free
constexpr Millis kFirstBackoff = 1s, kLongestBackoff = 60s;
constexpr Millis kWriteUsesEvery = 30s;
constexpr size_t kWriteUsesAt = 1000;
constexpr Millis kClockStep = 1h;  // less is no jump
constexpr size_t kPage = 500;
constexpr Millis kPagesApart = 100ms;
constexpr size_t kAsksAtOnce =
    16;  // half of what the endpoint may be asked; visitors have the rest
constexpr size_t kPollsAtOnce = 32;

}  // namespace

Renewals::Renewals(Options options, Parts parts)
    : options_(options),
      parts_(std::move(parts)),
      asking_(parts_.clock, kAsksAtOnce),
      polling_(parts_.clock, kPollsAtOnce),
      started_(parts_.clock.now()),
      started_wall_(parts_.clock.wall_now()) {
  advisors_.reserve(parts_.sources.size());
  for (CertificateSource* source : parts_.sources) advisors_.emplace_back(*source);
}
Renewals::~Renewals() = default;

void Renewals::start() {
  stopped_ = false;
  // What was written by a clock that was ahead of today's shows in the newest event.
  tasks_.spawn(correct_if_behind());
  schedule(Millis(0));
}

void Renewals::stop() {
  stopped_ = true;
  alarm_.reset();
  writing_uses_.reset();
  tasks_ = TaskSet();
  turning_ = correcting_ = writing_ = false;
}

void Renewals::look_soon() {
  schedule(Millis(0));
}

// --- turns

void Renewals::schedule(Millis delay) {
  if (stopped_) return;
  const TimePoint at = std::max(parts_.clock.now() + delay, not_before_);
  if (turning_) {
    look_again_ = true;
    return;
  }
  if (alarm_ != nullptr && armed_ <= at) return;
  armed_ = at;
  alarm_ = parts_.clock.after(at - parts_.clock.now(), [this] { ring(); });
}

void Renewals::ring() {
  const Alarm fired = std::move(alarm_);
  turning_ = true;
  tasks_.spawn(run_turn());
}

Task<> Renewals::run_turn() {
  ++turns_;
  look_again_ = false;
  crowded_ = false;
  if (clock_went_back()) tasks_.spawn(correct_all());
  Task<Millis> turning = turn();
  const Result<Millis> next = co_await std::move(turning).result();
  turning_ = false;
  if (!next) store_failed(next.error(), false);
  not_before_ = parts_.clock.now() + std::max(kTurnsApart, store_backoff_);
  schedule(next && !look_again_ ? std::min(*next, options_.look_again) : Millis(0));
  co_return Unit{};
}

// How long until the next one.
Task<Millis> Renewals::turn() {
  if (writes_fail_) {
    Task<> testing = parts_.store.self_test();
    co_await std::move(testing);
  }
  const WallTime now = parts_.clock.wall_now();
  Task<DueCertificates> finding = parts_.store.find_due(now, options_.max_looking);
  const DueCertificates found = co_await std::move(finding);
  store_worked(found.due.empty());
  begin(found.due);
  if (looking_.empty() && !crowded_) end_round();
  if (crowded_) co_return kCrowdedWait;
  if (found.next == RenewalPlan::kNever) co_return options_.look_again;
  if (found.next <= now) co_return kCrowdedWait;  // the rest of what is due
  co_return std::chrono::duration_cast<Millis>(
      std::min<std::chrono::seconds>(found.next - now, 24h));
}

// Those that are being looked at are still due in the store.
void Renewals::begin(const std::vector<CertificateInfo>& due) {
  for (const CertificateInfo& info : due) {
    const SlotName key{info.name, info.slot};
    if (looking_.contains(key)) {
      note_expiry(info);  // an order may wait for longer than the certificate lives
      continue;
    }
    if (looking_.size() >= options_.max_looking) {
      crowded_ = true;
      return;
    }
    tasks_.spawn(look(info), &looking_[key].place);
  }
  crowded_ = due.size() >= options_.max_looking;
}

void Renewals::call_off(const ServerName& name) {
  bool found = false;
  for (const Slot slot : {Slot::kMain, Slot::kRsa}) {
    const auto under = looking_.find(SlotName{name, slot});
    if (under == looking_.end()) continue;
    const TaskSet::Place place = under->second.place;
    tasks_.drop(place);
    found = true;
  }
  if (found) look_ended();
}

void Renewals::look_ended() {
  if (looking_.empty() && !crowded_) end_round();
  if (crowded_ && looking_.size() <= options_.max_looking / 2) schedule(Millis(0));
}

void Renewals::end_round() {
  if (!round_) return;
  const Round round = *round_;
  round_.reset();
  const int64_t took = (parts_.clock.now() - round.began).count();
  const Log::Fields fields{{"looked_at", round.looked},
                           {"due", round.due},
                           {"renewed", round.renewed},
                           {"failed", round.failed},
                           {"denied", round.denied},
                           {"unseen", round.unseen},
                           {"ms", took}};
  if (round.due > 0) {
    parts_.log.info("maintenance_ended", "all that was due has been looked at", fields);
  } else {
    parts_.log.debug("maintenance_ended", "nothing was due for renewal", fields);
  }
}

// --- a store that fails

// One failure a turn counts: of those who look at once all will have met it.
void Renewals::store_failed(const Error& error, bool writing) {
  parts_.issuances.doubt_store();
  writes_fail_ = writes_fail_ || writing;
  if (failed_turn_ == turns_ && store_backoff_ > Millis(0)) return;
  failed_turn_ = turns_;
  if (store_backoff_ == Millis(0)) {
    parts_.log.error("maintenance_stopped",
                     "nothing is renewed while the store does not work (tried again at least once "
                     "a minute): " +
                         error.message);
  }
  store_backoff_ = std::clamp(2 * store_backoff_, kFirstBackoff, kLongestBackoff);
  not_before_ = parts_.clock.now() + store_backoff_;
  schedule(Millis(0));
}

// A store that reads need not write.
void Renewals::store_worked(bool writing) {
  if (store_backoff_ == Millis(0) || (writes_fail_ && !writing)) return;
  store_backoff_ = Millis(0);
  writes_fail_ = false;
  not_before_ = TimePoint::min();
  parts_.log.info("maintenance_resumed", "the store works again");
}

// --- a clock that jumps

bool Renewals::clock_went_back() {
  const Millis passed = parts_.clock.now() - started_;
  const Millis ahead = (parts_.clock.wall_now() - started_wall_) - passed;
  const Millis step = ahead - ahead_;
  ahead_ = ahead;
  if (step > -kClockStep && step < kClockStep) return false;
  parts_.log.warning("clock_jumped", "the system's clock was set; plans are made by the new time",
                     {{"seconds", step.count() / 1000}});
  return step < Millis(0);
}

Task<> Renewals::correct_if_behind() {
  Task<std::vector<Event>> finding = parts_.store.find_events("", 1);
  const std::vector<Event> newest = co_await std::move(finding);
  if (newest.empty() || newest.front().at <= parts_.clock.wall_now() + kClockStep) co_return Unit{};
  Task<> correcting = correct_all();
  co_return co_await std::move(correcting).result();
}

// Plans that were made by a clock that ran ahead would leave certificates alone until that time
// comes again. The one look at all of them, once for each time that the clock went back.
Task<> Renewals::correct_all() {
  if (correcting_) co_return Unit{};
  correcting_ = true;
  struct Done {
    bool& correcting;
    ~Done() { correcting = false; }
  } const done{correcting_};
  CertificateQuery query;
  query.limit = kPage;
  for (;;) {
    Task<std::vector<CertificateInfo>> listing = parts_.store.list_certificates(query);
    const Result<std::vector<CertificateInfo>> page = co_await std::move(listing).result();
    if (!page) {
      co_await sleep(parts_.clock, kLongestBackoff);
      continue;
    }
    for (const CertificateInfo& info : *page) {
      RenewalPlan plan = info.plan;
      if (!correct_times(plan, info.not_before, info.end, parts_.issuances.rules(),
                         parts_.clock.wall_now(), random_)) {
        continue;
      }
      counts_.corrected.add();
      for (;;) {
        Task<> putting = parts_.store.put_plan(info.id, plan);
        const Result<> put = co_await std::move(putting).result();
        if (put) break;
        store_failed(put.error(), true);
        co_await sleep(parts_.clock, kLongestBackoff);
      }
    }
    if (page->size() < query.limit) break;
    query.after = page->back().name.text();
    co_await sleep(parts_.clock, kPagesApart);
  }
  look_soon();
  co_return Unit{};
}

// --- visits

void Renewals::note_use(const ServerName& name, Slot slot) {
  if (used_.size() >= options_.max_uses) return;
  used_.push_back({name, slot});
  write_uses_in(used_.size() >= kWriteUsesAt ? Millis(0) : kWriteUsesEvery);
}

void Renewals::write_uses_in(Millis delay) {
  if (writing_) return;
  if (writing_uses_ != nullptr && delay > Millis(0)) return;
  writing_uses_ = parts_.clock.after(delay, [this] {
    const Alarm fired = std::move(writing_uses_);
    writing_ = true;
    tasks_.spawn(write_uses());
  });
}

Task<> Renewals::write_uses() {
  std::vector<SlotName> names;
  names.swap(used_);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  Task<> noting = parts_.store.note_uses(names, parts_.clock.wall_now());
  const Result<> noted = co_await std::move(noting).result();
  if (noted) {
    look_soon();
  } else {
    parts_.issuances.doubt_store();
    parts_.log.error("store_write_failed",
                     "visits are noted later, or not at all: " + noted.error().message);
    const size_t room = options_.max_uses - std::min(options_.max_uses, used_.size());
    used_.insert(used_.end(), names.begin(),
                 names.begin() + static_cast<std::ptrdiff_t>(std::min(room, names.size())));
    // Not at once for each visit that comes, however many are noted.
    co_await sleep(parts_.clock, kWriteUsesEvery);
  }
  writing_ = false;
  if (!used_.empty()) write_uses_in(noted ? kWriteUsesEvery : Millis(0));
  co_return Unit{};
}

}  // namespace latchkey
