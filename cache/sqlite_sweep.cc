#include "cache/sqlite_sweep.h"

#include <chrono>
#include <string_view>
#include <vector>

#include "cache/sqlite_certificates.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

constexpr std::chrono::hours kKeepFailures{30 * 24};  // after their next try
constexpr std::chrono::hours kKeepOrders{7 * 24};     // CAs forget them, too

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

// For tables where nothing that is old enough stays. `sql`: what to delete, before when and how
// many.
Result<bool> sweep_all(Connection& connection, std::string_view sql, int64_t before) {
  Query query = connection.query(sql);
  if (auto done = query.bind(before).bind(kSweepRows).run(); !done) return std::move(done).error();
  return connection.changes() == kSweepRows;
}

}  // namespace

Result<bool> sweep_verdicts(Connection& connection, WallTime now, SweepPlace& place) {
  return sweep(connection, kVerdicts, now, place);
}

Result<bool> sweep_failures(Connection& connection, WallTime now, SweepPlace& place) {
  return sweep(connection, kFailures, now - kKeepFailures, place);
}

Result<bool> sweep_buckets(Connection& connection, WallTime now) {
  return sweep_all(connection,
                   "DELETE FROM bucket WHERE (issuer, kind, key) IN (SELECT issuer, kind, key FROM "
                   "bucket WHERE idle_at_ms <= ? ORDER BY idle_at_ms LIMIT ?)",
                   Millis(now.time_since_epoch()).count());
}

Result<bool> sweep_events(Connection& connection, WallTime now) {
  return sweep_all(connection,
                   "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE keep_until < ? "
                   "ORDER BY keep_until LIMIT ?)",
                   seconds(now));
}

Result<bool> sweep_orders(Connection& connection, WallTime now) {
  return sweep_all(connection,
                   "DELETE FROM order_state WHERE (name, slot) IN (SELECT name, slot FROM "
                   "order_state WHERE made < ? ORDER BY made, name LIMIT ?)",
                   seconds(now - kKeepOrders));
}

Result<bool> sweep_staples(Connection& connection, WallTime now) {
  return sweep_all(connection,
                   "DELETE FROM staple WHERE leaf IN (SELECT leaf FROM staple WHERE end_at < ? "
                   "ORDER BY end_at LIMIT ?)",
                   seconds(now));
}

Result<SweptCertificates> sweep_certificates(Connection& connection, WallTime now,
                                             Millis keep_expired, SweepPlace& place) {
  const int64_t before = seconds(now - std::chrono::floor<std::chrono::seconds>(keep_expired));
  SweptCertificates swept;
  std::vector<int64_t> useless;
  SweepPlace next;  // the beginning, unless more is left
  {
    Query query = connection.query(
        "SELECT id, end_at, coalesce(last_used, 0) < ?3 FROM certificate "
        "WHERE (end_at, id) > (?1, ?2) AND end_at < ?3 ORDER BY end_at, id LIMIT ?4");
    query.bind(place.time).bind(place.id).bind(before).bind(kSweepCertificates);
    int64_t seen = 0;
    for (;;) {
      const auto row = query.next();
      if (!row) return row.error();
      if (!*row) break;
      if (query.integer(2) != 0) useless.push_back(query.integer(0));
      if (++seen < kSweepCertificates) continue;
      next.time = query.integer(1);
      next.id = query.integer(0);
      swept.more = true;
    }
  }
  if (!useless.empty()) {
    Transaction transaction(connection);
    if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
    for (const int64_t id : useless) {
      if (auto done = release_row(connection, id, swept.names); !done) {
        return std::move(done).error();
      }
    }
    if (auto done = transaction.commit(); !done) return std::move(done).error();
  }
  place = std::move(next);
  return swept;
}

}  // namespace latchkey::sqlite
