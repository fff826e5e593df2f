#include "ondemand/budget_keeper.h"

#include <utility>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kLoadLimit = 30s;
constexpr Millis kWritePause = 20ms;  // what changes within goes with one write
constexpr Millis kRetryPause = 5s;
constexpr size_t kMaxUnwritten = 100'000;

}  // namespace

BudgetKeeper::BudgetKeeper(Budget& budget, Store& store, Clock& clock, Log& log)
    : budget_(budget), store_(store), clock_(clock), log_(log) {}

BudgetKeeper::~BudgetKeeper() {
  if (!loaded_) return;
  std::vector<BucketRecord> rows = std::move(unwritten_);
  for (BucketRecord& row : budget_.take_changes(clock_.now(), clock_.wall_now())) {
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return;
  Task<> put = store_.put_buckets(std::move(rows));
  put.start();  // accepted is as good as done
}

Task<> BudgetKeeper::load() {
  if (loaded_) co_return Unit{};
  const Turnstile::Pass pass = co_await loading_.enter(kLoadLimit);
  if (loaded_) co_return Unit{};
  Task<std::vector<BucketRecord>> read = store_.load_buckets(clock_.wall_now());
  const Result<std::vector<BucketRecord>> rows = co_await std::move(read).result();
  if (!rows) {
    Error why = Error(rows.error()).in("reading what is left of the CAs' budget");
    co_return why;
  }
  budget_.load(*rows, clock_.now(), clock_.wall_now());
  loaded_ = true;
  co_return Unit{};
}

void BudgetKeeper::changed() {
  dirty_ = true;
  if (!std::exchange(writing_, true)) tasks_.spawn(write());
}

Task<> BudgetKeeper::write() {
  while (std::exchange(dirty_, false)) {
    // The older first: of one bucket the last row counts.
    std::vector<BucketRecord> rows = std::exchange(unwritten_, {});
    for (BucketRecord& row : budget_.take_changes(clock_.now(), clock_.wall_now())) {
      rows.push_back(std::move(row));
    }
    Millis pause = kWritePause;
    if (!rows.empty()) {
      Task<> put = store_.put_buckets(rows);
      const Result<> stored = co_await std::move(put).result();
      if (!stored) {
        log_.error("store_write_failed",
                   "the CAs' budget is in memory only until this works: " + stored.error().message);
        if (rows.size() <= kMaxUnwritten) unwritten_ = std::move(rows);
        dirty_ = true;
        pause = kRetryPause;
      }
    }
    co_await sleep(clock_, pause);
  }
  writing_ = false;
  co_return Unit{};
}

}  // namespace latchkey
