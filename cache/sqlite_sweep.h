#pragma once
// Deletes what time has made useless, a bounded piece at a time.

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// Where the next piece of a table begins. Rows of names that have a certificate stay, so that each
// sweep goes on behind them instead of looking at them all again.
struct SweepPlace {
  int64_t time = INT64_MIN;
  std::string name{};
  int64_t id = INT64_MIN;  // of a certificate, instead of a name
};

// Each looks at, and deletes, at most this many rows (20 ms). True: there are more.
constexpr int64_t kSweepRows = 2000;

Result<bool> sweep_verdicts(Connection& connection, WallTime now, SweepPlace& place);
Result<bool> sweep_failures(Connection& connection, WallTime now, SweepPlace& place);
Result<bool> sweep_buckets(Connection& connection, WallTime now);
Result<bool> sweep_events(Connection& connection, WallTime now);
Result<bool> sweep_orders(Connection& connection, WallTime now);
Result<bool> sweep_staples(Connection& connection, WallTime now);

// Certificates that expired `keep_expired` ago, and that nobody has visited since. Looks at no more
// than this many (20 ms).
constexpr int64_t kSweepCertificates = 200;
struct SweptCertificates {
  std::vector<std::string> names;  // that led to them
  bool more = false;
};
Result<SweptCertificates> sweep_certificates(Connection& connection, WallTime now,
                                             Millis keep_expired, SweepPlace& place);

}  // namespace latchkey::sqlite
