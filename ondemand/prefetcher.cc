#include "ondemand/prefetcher.h"

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kRetryAfter = 60s;         // where nobody said when
constexpr int kMaxTries = 3;                // more, of names that a visit brought
constexpr int kMaxOperatorTries = 24 * 60;  // ... of the operator's, where no limit is the cause

// Worth another try without a visitor? What failed for the name's own sake waits for one.
bool comes_back(const Error& error) {
  return error.code == ErrorCode::kThrottled || error.code == ErrorCode::kIo;
}

}  // namespace

Prefetcher::Prefetcher(Options options, Start start, Clock& clock)
    : options_(options), start_(std::move(start)), clock_(clock) {}

bool Prefetcher::add(const ServerName& name, From from, Millis delay) {
  if (const auto known = names_.find(name); known != names_.end()) {
    if (from == From::kOperator) known->second.from = from;
    return true;
  }
  const size_t room = from == From::kOperator ? options_.max_names : options_.max_names / 2;
  if (names_.size() >= room) return false;
  names_.emplace(name, Entry{due_.emplace(clock_.now() + delay, name), from});
  schedule();
  return true;
}

void Prefetcher::remove(const ServerName& name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  if (found->second.due != due_.end()) {
    due_.erase(found->second.due);
    names_.erase(found);
  } else {
    found->second.tries = kMaxOperatorTries;  // it runs: not again
  }
}

// From the loop, never from within who calls us.
void Prefetcher::schedule() {
  if (due_.empty() || running_ >= options_.max_running) return;
  const TimePoint at = due_.begin()->first;
  if (alarm_ != nullptr && armed_ <= at) return;
  armed_ = at;
  alarm_ = clock_.after(std::max(Millis(0), at - clock_.now()), [this] { run(); });
}

void Prefetcher::run() {
  const Alarm fired = std::move(alarm_);
  while (!due_.empty() && running_ < options_.max_running && due_.begin()->first <= clock_.now()) {
    begin(ServerName(due_.begin()->second));
  }
  schedule();
}

void Prefetcher::begin(const ServerName& name) {
  Entry& entry = names_.at(name);
  due_.erase(entry.due);
  entry.due = due_.end();
  ++running_;
  start_(name, [this, name](const Error* error) { finished(name, error); });
}

void Prefetcher::finished(const ServerName& name, const Error* error) {
  --running_;
  const auto found = names_.find(name);
  Entry& entry = found->second;
  const bool operators = entry.from == From::kOperator;
  const int most = operators ? kMaxOperatorTries : kMaxTries;
  if (error != nullptr && comes_back(*error) && entry.tries < most) {
    if (!operators || error->code != ErrorCode::kThrottled) ++entry.tries;
    const Millis wait = std::max(kRetryAfter, error->retry_after);
    entry.due = due_.emplace(clock_.now() + wait, name);
  } else {
    names_.erase(found);
  }
  schedule();
}

}  // namespace latchkey
