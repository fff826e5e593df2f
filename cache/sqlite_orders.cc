#include "cache/sqlite_orders.h"

#include "cache/sqlite_certificates.h"
#include "cache/sqlite_renewals.h"
#include "cache/sqlite_slot.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

Result<FoundOrders> read_orders(Query& query, const SecretBox& box) {
  FoundOrders orders;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return orders;
    const auto text = [&](int column) { return std::string(query.text(column)); };
    const Slot slot = slot_of(query.integer(9));
    auto name = stored_name(query.text(0));
    if (!name) {
      orders.bad.push_back({text(0), slot, std::move(name).error().message, true});
      continue;
    }
    auto key = box.open(query.text(5), order_context(query.text(0), query.text(4)));
    if (!key) {
      const bool damaged = key.error().code != ErrorCode::kNotFound;
      orders.bad.push_back({text(0), slot, std::move(key).error().message, damaged});
      continue;
    }
    orders.found.push_back({.name = *std::move(name),
                            .issuer = text(1),
                            .directory = text(2),
                            .account = text(3),
                            .url = text(4),
                            .key_der = *std::move(key),
                            .profile = text(6),
                            .made = wall_time(query.integer(7)),
                            .renewal = query.integer(8) != 0,
                            .slot = slot});
  }
}

}  // namespace

std::string order_context(std::string_view name, std::string_view url) {
  std::string context = "order_state";
  context.append(1, '\0').append(name).append(1, '\0').append(url);
  return context;
}

Result<FoundOrders> find_order(Connection& connection, const SecretBox& box, const ServerName& name,
                               Slot slot) {
  Query query = connection.query(
      "SELECT name, issuer, directory, account, url, sealed_key, profile, made, renewal, slot "
      "FROM order_state WHERE name = ? AND slot = ?");
  query.bind(name.text()).bind(number(slot));
  return read_orders(query, box);
}

Result<FoundOrders> load_orders(Connection& connection, const SecretBox& box, size_t limit) {
  Query query = connection.query(
      "SELECT name, issuer, directory, account, url, sealed_key, profile, made, renewal, slot "
      "FROM order_state ORDER BY made, name, slot LIMIT ?");
  query.bind(static_cast<int64_t>(limit));
  return read_orders(query, box);
}

Result<> put_order(Connection& connection, const SecretBox& box, const PendingOrder& order) {
  Query query = connection.query(
      "INSERT OR REPLACE INTO order_state (name, issuer, directory, account, url, sealed_key, "
      "profile, made, renewal, slot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(order.name.text()).bind(order.issuer).bind(order.directory).bind(order.account);
  query.bind(order.url);
  query.bind_blob(box.seal(order.key_der, order_context(order.name.text(), order.url)));
  query.bind(order.profile).bind(seconds(order.made)).bind(int64_t{order.renewal});
  return query.bind(number(order.slot)).run();
}

Result<> delete_order(Connection& connection, const ServerName& name, Slot slot) {
  Query query = connection.query("DELETE FROM order_state WHERE name = ? AND slot = ?");
  return query.bind(name.text()).bind(number(slot)).run();
}

Result<bool> quarantine(Connection& connection, const BadOrder& bad) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  {
    Query query = connection.query(
        "INSERT INTO quarantine (at, cause, name, sealed_key) "
        "SELECT CAST(strftime('%s', 'now') AS INTEGER), ?1, name, sealed_key FROM order_state "
        "WHERE name = ?2 AND slot = ?3");
    const std::string cause = "a pending order: " + bad.cause;
    query.bind(cause).bind(bad.name).bind(number(bad.slot));
    if (auto done = query.run(); !done) return std::move(done).error();
    if (connection.changes() == 0) return false;
  }
  {
    Query query = connection.query("DELETE FROM order_state WHERE name = ? AND slot = ?");
    query.bind(bad.name).bind(number(bad.slot));
    if (auto done = query.run(); !done) return std::move(done).error();
  }
  if (auto done = trim_quarantine(connection); !done) return std::move(done).error();
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return true;
}

}  // namespace latchkey::sqlite
