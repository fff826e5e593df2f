#include "ondemand/staples.h"

#include <algorithm>
#include <utility>

#include "ondemand/staples_impl.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kTurnsApart = 100ms;  // at least
constexpr Millis kCrowdedWait = 1s;    // so at most 64 begin in a second
constexpr Millis kFirstBackoff = 1s, kLongestBackoff = 60s;
constexpr Millis kClockStep = 1h;  // less is no jump
// No row that was written by a right clock lies further ahead: a week and its jitter.
constexpr std::chrono::hours kFurthest{8 * 24};

Responders::Options bounds(const Staples::Options& options) {
  Responders::Options bounds;
  bounds.at_once = options.max_fetching;
  bounds.at_once_each = options.max_fetching_per_responder;
  bounds.waiting_each = kMaxStapleJobs / 2;  // one that is slow leaves room for others
  return bounds;
}

}  // namespace

Staples::Staples(Options options, Parts parts)
    : impl_(std::make_unique<Impl>(options, std::move(parts), counts_)) {}
Staples::~Staples() = default;

void Staples::start() {
  if (!impl_->options.enabled) return;
  impl_->started = true;
  impl_->tasks.spawn(impl_->correct());
  impl_->schedule(0ms);
}
void Staples::stop() {
  impl_->started = false;
  impl_->alarm.reset();
  impl_->turning = false;
  impl_->looking_up = false;
  impl_->seen.clear();
  // Those who waited for one of them may begin another.
  const TaskSet dropped = std::exchange(impl_->tasks, TaskSet());
}
void Staples::see(const ServerName& name, Slot slot, const CertificatePtr& certificate) {
  impl_->see(SlotName{name, slot}, certificate);
}
void Staples::set_configured(std::vector<ConfiguredCertificate> certificates) {
  impl_->set_configured(std::move(certificates));
}
Task<CertificatePtr> Staples::with_staple(ServerName name, Slot slot, CertificatePtr certificate,
                                          Millis patience) {
  return impl_->with_staple(SlotName{std::move(name), slot}, std::move(certificate), patience);
}

Staples::Impl::Impl(Options options_in, Parts parts_in, Counts& counts_in)
    : options(options_in),
      parts(std::move(parts_in)),
      counts(counts_in),
      cautious(parts.clock),
      responders(bounds(options), parts.clock),
      began(parts.clock.now()),
      began_wall(parts.clock.wall_now()) {}

// --- turns

void Staples::Impl::schedule(Millis delay) {
  if (!started) return;
  if (turning) {
    look_again = true;
    return;
  }
  const TimePoint at = std::max(parts.clock.now() + delay, not_before);
  if (alarm != nullptr && armed <= at) return;
  armed = at;
  alarm = parts.clock.after(at - parts.clock.now(), [this] { ring(); });
}

void Staples::Impl::ring() {
  const Alarm fired = std::move(alarm);
  turning = true;
  tasks.spawn(run_turn());
}

Task<> Staples::Impl::run_turn() {
  look_again = false;
  crowded = false;
  if (clock_went_back()) tasks.spawn(correct());
  Task<Millis> looking = turn();
  const Result<Millis> next = co_await std::move(looking).result();
  turning = false;
  if (!next) store_failed(next.error(), false);
  const Millis apart = crowded ? kCrowdedWait : kTurnsApart;
  not_before = std::max(not_before, parts.clock.now() + apart);
  schedule(next && !look_again ? std::min(*next, options.look_again) : 0ms);
  co_return Unit{};
}

Task<Millis> Staples::Impl::turn() {
  if (writes_fail) {
    Task<> testing = parts.store.self_test();
    co_await std::move(testing);
  }
  begin_configured();
  const WallTime now = wall();
  Task<DueStaples> finding = parts.store.find_due_staples(now, kMaxStapleJobs);
  const DueStaples found = co_await std::move(finding);
  if (store_backoff > 0ms) parts.log.info("staples_resumed", "the store works again");
  store_backoff = 0ms;
  writes_fail = false;
  begin(found.due);
  WallTime next = found.next;
  if (!configured_by_time.empty()) next = std::min(next, configured_by_time.begin()->first);
  if (crowded || next <= now) co_return kCrowdedWait;
  if (next == RenewalPlan::kNever) co_return options.look_again;
  co_return std::chrono::duration_cast<Millis>(std::min<std::chrono::seconds>(next - now, 24h));
}

// Those that are being looked at are still due in the store.
void Staples::Impl::begin(const std::vector<StapleRecord>& due) {
  for (const StapleRecord& row : due) {
    if (jobs.contains(row.leaf)) continue;
    if (jobs.size() >= kMaxStapleJobs) {
      crowded = true;
      return;
    }
    tasks.spawn(look(row));
  }
  crowded = crowded || due.size() >= kMaxStapleJobs;
}

void Staples::Impl::begin_configured() {
  const WallTime now = wall();
  std::vector<std::string> due;
  for (const auto& [at, leaf] : configured_by_time) {
    if (at > now) break;
    if (jobs.contains(leaf)) continue;
    if (jobs.size() + due.size() >= kMaxStapleJobs) {
      crowded = true;
      break;
    }
    due.push_back(leaf);
  }
  for (const std::string& leaf : due) {
    const auto found = configured.find(leaf);
    if (found == configured.end()) continue;
    const Configured& one = found->second;
    Subject subject{one.name, Slot::kMain, one.certificate, leaf, one.staple, true};
    tasks.spawn(look_now(std::move(subject)));
  }
}

// --- a store that fails

void Staples::Impl::store_failed(const Error& error, bool writing) {
  writes_fail = writes_fail || writing;
  if (store_backoff == 0ms) {
    parts.log.error("staples_stopped",
                    "OCSP staples are not refreshed while the store does not work (tried again at "
                    "least once a minute): " +
                        error.message);
  }
  if (parts.clock.now() < not_before && store_backoff > 0ms) return;  // one failure a wait counts
  store_backoff = std::clamp(2 * store_backoff, kFirstBackoff, kLongestBackoff);
  not_before = parts.clock.now() + store_backoff;
}

// --- a clock that jumps

bool Staples::Impl::clock_went_back() {
  const Millis passed = parts.clock.now() - began;
  const Millis now_ahead = (parts.clock.wall_now() - began_wall) - passed;
  const Millis step = now_ahead - ahead;
  if (step > -kClockStep && step < kClockStep) return false;
  ahead = now_ahead;
  return step < 0ms;
}

// Rows that a clock wrote which ran ahead would be left alone until that time comes again.
Task<> Staples::Impl::correct() {
  const WallTime now = wall();
  std::vector<std::string> late;
  for (const auto& [leaf, one] : configured) {
    if (one.look_at > now + kFurthest) late.push_back(leaf);
  }
  for (const std::string& leaf : late) plan_configured(leaf, now);
  Task<> correcting = parts.store.hasten_staples(now + kFurthest, now);
  const Result<> corrected = co_await std::move(correcting).result();
  if (!corrected) store_failed(corrected.error(), true);
  schedule(0ms);
  co_return Unit{};
}

}  // namespace latchkey
