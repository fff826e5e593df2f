#pragma once
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "base/task_set.h"
#include "base/turnstile.h"
#include "cache/store.h"
#include "ondemand/budget.h"

namespace latchkey {

// The budget and its rows in the store: read before the first use, written behind (at most one
// write under way, what changes meanwhile goes with the next). A crash loses the tokens of the last
// moment, no more than the orders that were in flight; the bursts have room for that. Control
// thread.
class BudgetKeeper {
 public:
  // All outlive us.
  BudgetKeeper(Budget& budget, Store& store, Clock& clock, Log& log);
  // Gives the store what has not been written yet.
  ~BudgetKeeper();
  BudgetKeeper(const BudgetKeeper&) = delete;

  // Done when the rows have been read, by this call or an earlier one. Until then no CA is asked
  // for anything: who knows what it has forbidden us.
  Task<> load();
  // Another process has written them meanwhile: the next load() reads again; of a bucket counts
  // what leaves less.
  void read_again() { loaded_ = false; }
  bool loaded() const { return loaded_; }

  // The budget has changed: writes soon. Call it after each change.
  void changed();

 private:
  Task<> write();

  Budget& budget_;
  Store& store_;
  Clock& clock_;
  Log& log_;
  Turnstile loading_{clock_, 1};
  bool loaded_ = false;
  bool writing_ = false;
  bool dirty_ = false;
  std::vector<BucketRecord> unwritten_;  // of a write that failed; <= kMaxUnwritten
  TaskSet tasks_;                        // goes first
};

}  // namespace latchkey
