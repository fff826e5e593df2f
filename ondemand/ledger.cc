#include "ondemand/ledger.h"

#include <algorithm>
#include <array>

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr std::array<Millis, 4> kWaits{1min, 10min, 100min, 24h};
constexpr Millis kTroubleWait = 15s;
// No record has a longer wait (a day and its jitter, a CA's Retry-After of at most a day, the
// refill of a week's limits), unless it comes from a clock that was wrong.
constexpr seconds kLongestWait = 8 * 24h;
constexpr size_t kMaxMessage = 2048;  // bytes

// What to call a refusal: the limits' word, or what the last try came to.
ErrorCode code_of(FailureClass failure) {
  const bool limited = failure == FailureClass::kRateLimited || failure == FailureClass::kPolicy ||
                       failure == FailureClass::kServerInternal;
  return limited ? ErrorCode::kThrottled : ErrorCode::kProtocol;
}

// Rounded up: a wait is never shorter than it says.
seconds whole_seconds(Millis wait) {
  return duration_cast<seconds>(wait + 999ms);
}

}  // namespace

Ledger::Ledger(Store& store, Clock& clock, Log& log) : store_(store), clock_(clock), log_(log) {}

const FailureRecord* Ledger::find(const ServerName& name) const {
  return records_.peek(name.text());
}

void Ledger::learn(const ServerName& name, FailureRecord record) {
  if (find(name) != nullptr) return;
  if (left_of(record) <= 0s) record.next_try = std::min(record.next_try, clock_.wall_now());
  remember(name, std::move(record));
}

void Ledger::remember(const ServerName& name, FailureRecord record) {
  if (record.message.size() > kMaxMessage) record.message.resize(kMaxMessage);
  auto dropped =
      records_.put(name.text(), std::make_shared<const FailureRecord>(std::move(record)), 1);
}

std::optional<WallTime> Ledger::next_try(const ServerName& name) const {
  const FailureRecord* record = find(name);
  if (record == nullptr || left_of(*record) <= 0s) return std::nullopt;
  return record->next_try;
}

seconds Ledger::left_of(const FailureRecord& record) const {
  const seconds left = record.next_try - clock_.wall_now();
  return left > kLongestWait ? 0s : left;
}

std::optional<Error> Ledger::refusal(const FailureRecord& record) const {
  const seconds left = left_of(record);
  if (left <= 0s) return std::nullopt;
  return Error{code_of(record.failure),
               "the last try failed (" + std::string(to_string(record.failure)) +
                   "), the next one is made in " + std::to_string(left.count()) +
                   " s at the earliest: " + record.message,
               left};
}

int Ledger::failures(const ServerName& name) const {
  const FailureRecord* record = find(name);
  return record == nullptr ? 0 : record->count;
}

Millis Ledger::jittered(Millis wait, bool later_only) {
  const int percent = std::uniform_int_distribution<int>(later_only ? 0 : -20, 20)(random_);
  return wait + wait / 100 * percent;
}

seconds Ledger::wait_after(int failures, Millis longest) {
  const size_t step = std::min<size_t>(static_cast<size_t>(failures) - 1, kWaits.size() - 1);
  const seconds wait = whole_seconds(jittered(kWaits[step], step + 1 == kWaits.size()));
  if (wait <= longest) return wait;
  // Those of one length must not come back all at once.
  const int percent = std::uniform_int_distribution<int>(80, 100)(random_);
  return std::chrono::floor<seconds>(longest / 100 * percent);
}

Task<> Ledger::failed(ServerName name, FailureClass failure, Error error, std::string issuer,
                      Millis longest) {
  const FailureRecord* before = find(name);
  const WallTime now = clock_.wall_now();
  FailureRecord record;
  record.failure = failure;
  record.message = std::move(error.message);
  record.issuer = std::move(issuer);
  record.count = before == nullptr ? 1 : before->count + 1;
  record.first = before == nullptr || before->count == 0 ? now : before->first;
  record.last = now;
  record.next_try =
      now + std::max(wait_after(record.count, longest), whole_seconds(error.retry_after));
  remember(name, record);
  const FailureRecord* kept = find(name);
  FailureRecord row = kept == nullptr ? record : *kept;
  Task<> put = store_.put_failure(name, std::move(row));
  const Result<> stored = co_await std::move(put).result();
  if (!stored) {
    log_.error("store_write_failed",
               "a failure is remembered until the next restart only: " + stored.error().message,
               {{"name", name.text()}});
  }
  co_return Unit{};
}

void Ledger::trouble(const ServerName& name, FailureClass failure, const Error& error,
                     std::string issuer) {
  const FailureRecord* before = find(name);
  const WallTime now = clock_.wall_now();
  FailureRecord record;
  if (before != nullptr) record = *before;
  record.failure = failure;
  record.message = error.message;
  record.issuer = std::move(issuer);
  if (record.count == 0) record.first = now;
  record.last = now;
  record.next_try = now + whole_seconds(std::max(kTroubleWait, error.retry_after));
  remember(name, std::move(record));
}

void Ledger::forget_in_memory(const ServerName& name) {
  auto dropped = records_.erase(name.text());
}

Task<> Ledger::forget(ServerName name) {
  forget_in_memory(name);
  Task<> erase = store_.delete_failure(std::move(name));
  co_return co_await std::move(erase).result();
}

}  // namespace latchkey
