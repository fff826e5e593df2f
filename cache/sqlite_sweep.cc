#include "cache/sqlite_sweep.h"

#include <chrono>
#include <string_view>
#include <vector>

namespace latchkey::sqlite {
namespace {

constexpr std::chrono::hours kKeepFailures{30 * 24};  // after their next try

struct Table {
  std::string_view select;  // the next piece: name, time, whether the name has a certificate
  std::string_view remove;
};

// The primary key of neither table leads by time: their index on (time, name) does.
constexpr Table kVerdicts{
    "SELECT name, stale_until, "
    "EXISTS (SELECT 1 FROM certificate_name n WHERE n.name = verdict.name) FROM verdict "
    "WHERE (stale_until, name) > (?, ?) AND stale_until < ? ORDER BY stale_until, name LIMIT ?",
    "DELETE FROM verdict WHERE name = ?"};
constexpr Table kFailures{
    "SELECT name, next_try, "
    "EXISTS (SELECT 1 FROM certificate_name n WHERE n.name = failure.name) FROM failure "
    "WHERE (next_try, name) > (?, ?) AND next_try < ? ORDER BY next_try, name LIMIT ?",
    "DELETE FROM failure WHERE name = ?"};

Result<bool> sweep(Connection& connection, const Table& table, WallTime before, SweepPlace& place) {
  std::vector<std::string> useless;
  SweepPlace next;  // the beginning, unless more is left
  bool more = false;
  {
    Query query = connection.query(table.select);
    query.bind(place.time).bind(place.name);
    query.bind(int64_t{before.time_since_epoch().count()}).bind(kSweepRows);
    int64_t seen = 0;
    for (;;) {
      const auto row = query.next();
      if (!row) return row.error();
      if (!*row) break;
      if (query.integer(2) == 0) useless.emplace_back(query.text(0));
      if (++seen < kSweepRows) continue;
      next = {query.integer(1), std::string(query.text(0))};
      more = true;
    }
  }
  if (!useless.empty()) {  // else nothing is written
    Transaction transaction(connection);
    if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
    for (const std::string& name : useless) {
      Query query = connection.query(table.remove);
      if (auto done = query.bind(name).run(); !done) return std::move(done).error();
    }
    if (auto done = transaction.commit(); !done) return std::move(done).error();
  }
  place = std::move(next);
  return more;
}

}  // namespace

Result<bool> sweep_verdicts(Connection& connection, WallTime now, SweepPlace& place) {
  return sweep(connection, kVerdicts, now, place);
}

Result<bool> sweep_failures(Connection& connection, WallTime now, SweepPlace& place) {
  return sweep(connection, kFailures, now - kKeepFailures, place);
}

Result<bool> sweep_buckets(Connection& connection, WallTime now) {
  {
    Query query = connection.query(
        "DELETE FROM bucket WHERE (issuer, kind, key) IN (SELECT issuer, kind, key FROM bucket "
        "WHERE idle_at_ms <= ? ORDER BY idle_at_ms LIMIT ?)");
    query.bind(int64_t{Millis(now.time_since_epoch()).count()}).bind(kSweepRows);
    if (auto done = query.run(); !done) return std::move(done).error();
  }
  Query query = connection.query("SELECT changes()");
  const auto row = query.next();
  if (!row) return row.error();
  return query.integer(0) == kSweepRows;
}

}  // namespace latchkey::sqlite
