#include "cache/sqlite_renewals.h"

#include <algorithm>

#include "cache/sqlite_slot.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

// Of the names that lead to the certificate: the one that it was obtained for, if that still does,
// else the first that is no wildcard (wildcards sort before "+", all other names behind it). A
// wildcard only where it was obtained for one.
constexpr std::string_view kShownName =
    "coalesce((SELECT s.name FROM certificate_name s WHERE s.name = c.name AND s.id = c.id), "
    "(SELECT min(s.name) FROM certificate_name s WHERE s.id = c.id AND s.name > '+'), "
    "(SELECT min(s.name) FROM certificate_name s WHERE s.id = c.id AND substr(c.name, 1, 2) = "
    "'*.'), c.name)";

Query& bind_window(Query& query, const std::optional<RenewalWindow>& window) {
  if (!window) return query.bind_null().bind_null();
  return query.bind(seconds(window->start)).bind(seconds(window->end));
}

// The row that serves the name: see find_certificate(). nullopt: there is none.
Result<std::optional<int64_t>> row_of(Connection& connection, const SlotName& name, WallTime now) {
  static const std::string sql =
      "SELECT c.id FROM certificate_name n JOIN certificate c ON c.id = n.id " +
      std::string(kServing);
  Query query = connection.query(sql);
  bind_serving(query, name.name, now, name.slot);
  const auto row = query.next();
  if (!row) return row.error();
  return *row ? std::optional(query.integer(0)) : std::nullopt;
}

}  // namespace

const std::string& info_columns() {
  static const std::string columns =
      "c.id, " + std::string(kShownName) +
      ", c.issuer, c.account, c.key_type, c.serial, c.not_before, c.end_at, "
      "coalesce(c.last_used, 0), c.renew_at, c.look_at, c.window_start, c.window_end, c.poll_at, "
      "c.denied_since, c.slot";
  return columns;
}

Result<ServerName> stored_name(std::string_view text) {
  if (text.starts_with("*.")) return ServerName::parse_wildcard(text, {.underscore = true});
  auto name = ServerName::parse(text, {.underscore = true});
  if (!name) {
    if (auto address = ServerName::parse_ip(text)) return address;
  }
  return name;
}

Result<CertificateInfo> read_info(const Query& query) {
  const auto text = [&](int column) { return std::string(query.text(column)); };
  auto name = stored_name(query.text(1));
  if (!name) return std::move(name).error().in("its name");
  RenewalPlan plan;
  plan.renew_at = wall_time(query.integer(9));
  plan.look_at = time_or_never(query, 10);
  if (!query.is_null(11) && !query.is_null(12)) {
    const RenewalWindow window{wall_time(query.integer(11)), wall_time(query.integer(12))};
    if (window.start < window.end) plan.window = window;
  }
  plan.poll_at = time_or_never(query, 13);
  if (!query.is_null(14)) plan.denied_since = wall_time(query.integer(14));
  return CertificateInfo{.id = query.integer(0),
                         .name = *std::move(name),
                         .slot = slot_of(query.integer(15)),
                         .issuer = text(2),
                         .account = text(3),
                         .key_type = text(4),
                         .serial = text(5),
                         .not_before = wall_time(query.integer(6)),
                         .end = wall_time(query.integer(7)),
                         .last_used = wall_time(query.integer(8)),
                         .plan = plan};
}

Result<Due> find_due(Connection& connection, WallTime now, size_t limit) {
  static const std::string sql = "SELECT " + info_columns() +
                                 " FROM certificate c WHERE c.look_at IS NOT NULL "
                                 "ORDER BY c.look_at, c.id LIMIT ?";
  Query query = connection.query(sql);
  query.bind(static_cast<int64_t>(limit) + 1);
  Due due;
  for (size_t rows = 0;; ++rows) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return due;
    const WallTime look_at = time_or_never(query, 10);
    if (look_at > now || rows == limit) {
      due.found.next = look_at;
      return due;
    }
    auto info = read_info(query);
    if (info) {
      due.found.due.push_back(*std::move(info));
    } else {
      due.bad.push_back(
          {query.integer(0), std::string(query.text(1)), std::move(info).error().message});
    }
  }
}

Result<> put_plan(Connection& connection, int64_t id, const RenewalPlan& plan) {
  Query query = connection.query(
      "UPDATE certificate SET renew_at = ?, look_at = ?, window_start = ?, window_end = ?, "
      "poll_at = ?, denied_since = ? WHERE id = ?");
  bind_time_or_null(query.bind(seconds(plan.renew_at)), plan.look_at);
  bind_window(query, plan.window);
  bind_time_or_null(query, plan.poll_at);
  bind_time_or_null(query, plan.denied_since.value_or(RenewalPlan::kNever));
  return query.bind(id).run();
}

Result<> note_uses(Connection& connection, const std::vector<SlotName>& names, size_t first,
                   size_t last, WallTime now) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  for (size_t i = first; i < std::min(last, names.size()); ++i) {
    const auto id = row_of(connection, names[i], now);
    if (!id) return id.error();
    if (!*id) continue;
    // Apart, for an update that names look_at writes its index too, also where it changes nothing.
    for (const std::string_view sql :
         {"UPDATE certificate SET last_used = ? WHERE id = ?",
          "UPDATE certificate SET look_at = ? WHERE id = ? AND look_at IS NULL"}) {
      Query query = connection.query(sql);
      if (auto done = query.bind(seconds(now)).bind(**id).run(); !done) return done;
    }
  }
  return transaction.commit();
}

Result<Listed> list_piece(Connection& connection, const CertificateQuery& wanted) {
  static const std::string sql =
      "SELECT " + info_columns() +
      ", n.name, instr(n.name, ?2) > 0 AND c.end_at < ?3 AND n.name = " + std::string(kShownName) +
      " FROM certificate_name n JOIN certificate c ON c.id = n.id WHERE n.name > ?1 "
      "ORDER BY n.name, n.id";
  Query query = connection.query(sql);
  query.bind(wanted.after).bind(wanted.contains);
  query.bind(seconds(wanted.ends_before.value_or(WallTime::max())));
  Listed listed;
  for (int64_t rows = 0;; ++rows) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return listed;
    const bool full = rows >= kListRows || listed.found.size() >= wanted.limit;
    if (full && query.text(kInfoColumns) != listed.last) {
      listed.more = true;
      return listed;
    }
    listed.last = query.text(kInfoColumns);
    if (query.integer(kInfoColumns + 1) == 0) continue;
    auto info = read_info(query);
    if (!info) continue;  // whoever looks for it will find it bad
    listed.found.push_back(*std::move(info));
  }
}

}  // namespace latchkey::sqlite
