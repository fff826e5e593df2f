#include "cache/sqlite_names.h"

#include <algorithm>

#include "base/json.h"
#include "cache/sqlite_certificates.h"

namespace latchkey::sqlite {
namespace {

constexpr size_t kMaxMessage = 2048;  // bytes, of a failure

int64_t seconds(WallTime time) {
  return time.time_since_epoch().count();
}

WallTime wall_time(int64_t seconds) {
  return WallTime(WallTime::duration(seconds));
}

// "" for an empty one, as nearly all of them are.
std::string write_grant(const Grant& grant) {
  if (grant == Grant()) return "";
  JsonObject json;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) json.text(key, value);
  };
  add("upstream", grant.upstream);
  add("tenant", grant.tenant);
  add("issuer", grant.issuer);
  add("profile", grant.profile);
  add("key_type", grant.key_type);
  if (grant.wildcard) json.boolean("wildcard", true);
  return json.str();
}

// Members that we do not know are of a newer version, and skipped.
Result<Grant> read_grant(std::string_view text) {
  Grant grant;
  if (text.empty()) return grant;
  const auto json = parse_json(text);
  if (!json) return json.error();
  if (!json->is(JsonValue::Kind::kObject)) {
    return Error{ErrorCode::kInvalid, "expected a JSON object, got " + json_show(*json)};
  }
  const auto get = [&](std::string_view key) { return std::string(json->text_of(key)); };
  grant.upstream = get("upstream");
  grant.tenant = get("tenant");
  grant.issuer = get("issuer");
  grant.profile = get("profile");
  grant.key_type = get("key_type");
  const JsonValue* wildcard = json->find("wildcard");
  grant.wildcard = wildcard != nullptr && wildcard->boolean;
  return grant;
}

Result<std::optional<FailureRecord>> find_failure(Connection& connection, const ServerName& name) {
  Query query = connection.query(
      "SELECT class, message, issuer, count, first_at, last_at, next_try FROM failure "
      "WHERE name = ?");
  auto row = query.bind(name.text()).next();
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<FailureRecord>();
  FailureRecord found;
  found.failure = failure_class_from(query.text(0));
  found.message = query.text(1);
  found.issuer = query.text(2);
  found.count = static_cast<int>(std::clamp<int64_t>(query.integer(3), 1, 1'000'000'000));
  found.first = wall_time(query.integer(4));
  found.last = wall_time(query.integer(5));
  found.next_try = wall_time(query.integer(6));
  return std::optional(std::move(found));
}

Result<> delete_row(Connection& connection, std::string_view sql, const ServerName& name) {
  Query query = connection.query(sql);
  return query.bind(name.text()).run();
}

}  // namespace

std::string_view cut(std::string_view text, size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<uint8_t>(text[max]) & 0xc0) == 0x80) --max;
  return text.substr(0, max);
}

Result<NameRows> find_rows(Connection& connection, const SecretBox& box, const ServerName& name,
                           Slot slot) {
  NameRows rows;
  auto orders = find_order(connection, box, name, slot);
  if (!orders) return std::move(orders).error();
  for (PendingOrder& order : orders->found) rows.record.order = std::move(order);
  rows.bad_orders = std::move(orders->bad);
  auto failure = find_failure(connection, name);
  if (!failure) return std::move(failure).error();
  rows.record.failure = *std::move(failure);

  Query query =
      connection.query("SELECT asked, until, stale_until, granted FROM verdict WHERE name = ?");
  auto row = query.bind(name.text()).next();
  if (!row) return std::move(row).error();
  if (!*row) return rows;
  auto grant = read_grant(query.text(3));
  if (grant) {
    rows.record.verdict = VerdictRecord{wall_time(query.integer(0)), wall_time(query.integer(1)),
                                        wall_time(query.integer(2)), *std::move(grant)};
  } else {
    rows.bad_verdict = std::move(grant).error().message;
  }
  return rows;
}

Result<> delete_name(Connection& connection, const ServerName& name) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto done = release_certificate(connection, name); !done) return done;
  if (auto done = delete_failure(connection, name); !done) return done;
  if (auto done = delete_verdict(connection, name); !done) return done;
  for (const Slot slot : {Slot::kMain, Slot::kRsa}) {
    if (auto done = delete_order(connection, name, slot); !done) return done;
  }
  return transaction.commit();
}

Result<> put_failure(Connection& connection, const ServerName& name, const FailureRecord& failure) {
  Query query = connection.query(
      "INSERT INTO failure (name, class, message, issuer, count, first_at, last_at, next_try) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET class = excluded.class, "
      "message = excluded.message, issuer = excluded.issuer, count = excluded.count, "
      "first_at = excluded.first_at, last_at = excluded.last_at, next_try = excluded.next_try");
  query.bind(name.text()).bind(to_string(failure.failure));
  query.bind(cut(failure.message, kMaxMessage)).bind(failure.issuer).bind(int64_t{failure.count});
  query.bind(seconds(failure.first)).bind(seconds(failure.last)).bind(seconds(failure.next_try));
  return query.run();
}

Result<> delete_failure(Connection& connection, const ServerName& name) {
  return delete_row(connection, "DELETE FROM failure WHERE name = ?", name);
}

Result<> put_verdict(Connection& connection, const ServerName& name, const VerdictRecord& verdict) {
  Query query = connection.query(
      "INSERT INTO verdict (name, asked, until, stale_until, granted) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT (name) DO UPDATE SET asked = excluded.asked, until = excluded.until, "
      "stale_until = excluded.stale_until, granted = excluded.granted");
  query.bind(name.text()).bind(seconds(verdict.asked)).bind(seconds(verdict.until));
  query.bind(seconds(verdict.stale_until)).bind(write_grant(verdict.grant));
  return query.run();
}

Result<> delete_verdict(Connection& connection, const ServerName& name) {
  return delete_row(connection, "DELETE FROM verdict WHERE name = ?", name);
}

Result<std::vector<BucketRecord>> load_buckets(Connection& connection, WallTime now) {
  Query query = connection.query(
      "SELECT issuer, kind, key, full_at_ms, held_until_ms FROM bucket WHERE idle_at_ms > ?");
  query.bind(Millis(now.time_since_epoch()).count());
  std::vector<BucketRecord> found;
  for (;;) {
    auto row = query.next();
    if (!row) return std::move(row).error();
    if (!*row) return found;
    const auto text = [&](int column) { return std::string(query.text(column)); };
    found.push_back({text(0), text(1), text(2), query.integer(3), query.integer(4)});
  }
}

Result<> put_buckets(Connection& connection, const std::vector<BucketRecord>& buckets) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  for (const BucketRecord& one : buckets) {
    Query query = connection.query(
        "INSERT INTO bucket (issuer, kind, key, full_at_ms, held_until_ms, idle_at_ms) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, kind, key) DO UPDATE SET "
        "full_at_ms = excluded.full_at_ms, held_until_ms = excluded.held_until_ms, "
        "idle_at_ms = excluded.idle_at_ms");
    query.bind(one.issuer).bind(one.kind).bind(one.key).bind(one.full_at_ms);
    query.bind(one.held_until_ms).bind(std::max(one.full_at_ms, one.held_until_ms));
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

}  // namespace latchkey::sqlite
