// Accounts and orders of the ACME server.
#include "cache/sqlite_authority.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

// Of the columns authority, id, thumbprint, document.
Result<std::optional<AcmeAccountRow>> read_account(Query& query) {
  const auto row = query.next();
  if (!row) return row.error();
  std::optional<AcmeAccountRow> found;
  if (*row) {
    found = {.authority = std::string(query.text(0)),
             .id = std::string(query.text(1)),
             .thumbprint = std::string(query.text(2)),
             .document = std::string(query.text(3))};
  }
  return found;
}

Result<std::vector<std::string>> ids_of(Query& query) {
  std::vector<std::string> found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    found.emplace_back(query.text(0));
  }
}

}  // namespace

Result<> put_acme_account(Connection& connection, const AcmeAccountRow& account) {
  auto same_key = find_acme_account_by_key(connection, account.authority, account.thumbprint);
  if (!same_key) return std::move(same_key).error();
  if (*same_key && (*same_key)->id != account.id) {
    return Error{ErrorCode::kInvalid, "the account " + (*same_key)->id + " has the key " +
                                          account.thumbprint + ", which " + account.id +
                                          " was to get"};
  }
  Query query = connection.query(
      "INSERT INTO acme_account (authority, id, thumbprint, document) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (authority, id) DO UPDATE SET thumbprint = excluded.thumbprint, "
      "document = excluded.document");
  query.bind(account.authority).bind(account.id).bind(account.thumbprint);
  return query.bind(account.document).run();
}

Result<std::optional<AcmeAccountRow>> find_acme_account(Connection& connection,
                                                        const std::string& authority,
                                                        const std::string& id) {
  Query query = connection.query(
      "SELECT authority, id, thumbprint, document FROM acme_account "
      "WHERE authority = ? AND id = ?");
  query.bind(authority).bind(id);
  return read_account(query);
}

Result<std::optional<AcmeAccountRow>> find_acme_account_by_key(Connection& connection,
                                                               const std::string& authority,
                                                               const std::string& thumbprint) {
  Query query = connection.query(
      "SELECT authority, id, thumbprint, document FROM acme_account "
      "WHERE authority = ? AND thumbprint = ?");
  query.bind(authority).bind(thumbprint);
  return read_account(query);
}

Result<size_t> count_acme_accounts(Connection& connection, const std::string& authority) {
  Query query = connection.query("SELECT count(*) FROM acme_account WHERE authority = ?");
  const auto row = query.bind(authority).next();
  if (!row) return row.error();
  return static_cast<size_t>(query.integer(0));
}

Result<> put_acme_order(Connection& connection, const AcmeOrderRow& order) {
  Query query = connection.query(
      "INSERT INTO acme_order (authority, id, account, expires, document) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT (authority, id) DO UPDATE SET account = excluded.account, "
      "expires = excluded.expires, document = excluded.document");
  query.bind(order.authority).bind(order.id).bind(order.account).bind(seconds(order.expires));
  return query.bind(order.document).run();
}

Result<std::optional<AcmeOrderRow>> find_acme_order(Connection& connection,
                                                    const std::string& authority,
                                                    const std::string& id) {
  Query query = connection.query(
      "SELECT account, expires, document FROM acme_order WHERE authority = ? AND id = ?");
  const auto row = query.bind(authority).bind(id).next();
  if (!row) return row.error();
  std::optional<AcmeOrderRow> found;
  if (*row) {
    found = {.authority = authority,
             .id = id,
             .account = std::string(query.text(0)),
             .expires = wall_time(query.integer(1)),
             .document = std::string(query.text(2))};
  }
  return found;
}

Result<std::vector<std::string>> list_acme_orders(Connection& connection,
                                                  const std::string& authority,
                                                  const std::string& account,
                                                  const std::string& after, size_t limit) {
  Query query = connection.query(
      "SELECT id FROM acme_order WHERE authority = ? AND account = ? AND id > ? "
      "ORDER BY id LIMIT ?");
  return ids_of(query.bind(authority).bind(account).bind(after).bind(static_cast<int64_t>(limit)));
}

Result<std::vector<std::string>> last_acme_orders(Connection& connection,
                                                  const std::string& authority,
                                                  const std::string& account, size_t limit) {
  Query query = connection.query(
      "SELECT id FROM acme_order WHERE authority = ? AND account = ? ORDER BY id DESC LIMIT ?");
  return ids_of(query.bind(authority).bind(account).bind(static_cast<int64_t>(limit)));
}

}  // namespace latchkey::sqlite
