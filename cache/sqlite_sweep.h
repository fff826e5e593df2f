#pragma once
// Deletes what time has made useless, a bounded piece at a time.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// Where the next piece of a table begins. Rows of names that have a certificate stay, so that each
// sweep goes on behind them instead of looking at them all again.
struct SweepPlace {
  int64_t time = INT64_MIN;
  std::string name{};
};

// Each looks at, and deletes, at most this many rows (20 ms). True: there are more.
constexpr int64_t kSweepRows = 2000;

Result<bool> sweep_verdicts(Connection& connection, WallTime now, SweepPlace& place);
Result<bool> sweep_failures(Connection& connection, WallTime now, SweepPlace& place);
Result<bool> sweep_buckets(Connection& connection, WallTime now);

}  // namespace latchkey::sqlite
