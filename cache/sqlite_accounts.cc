#include "cache/sqlite_accounts.h"

#include <string_view>

namespace latchkey::sqlite {
namespace {

std::string account_context(std::string_view directory) {
  std::string context = "account";
  return context.append(1, '\0').append(directory);
}

}  // namespace

Result<std::optional<AccountRecord>> find_account(Connection& connection, const SecretBox& box,
                                                  const std::string& directory) {
  Query query = connection.query("SELECT url, sealed_key FROM account WHERE directory = ?");
  auto row = query.bind(directory).next();
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<AccountRecord>();
  auto key = box.open(query.text(1), account_context(directory));
  if (!key) {
    return Error{ErrorCode::kIo, "the stored account key for " + directory +
                                     " cannot be read: " + key.error().message +
                                     "; restore a backup of the database, or delete the account"};
  }
  return std::optional(AccountRecord{directory, std::string(query.text(0)), *std::move(key)});
}

Result<> put_account(Connection& connection, const SecretBox& box, const AccountRecord& account) {
  Query query = connection.query(
      "INSERT INTO account (directory, url, sealed_key) VALUES (?, ?, ?) "
      "ON CONFLICT (directory) DO UPDATE SET url = excluded.url, "
      "sealed_key = excluded.sealed_key");
  return query.bind(account.directory)
      .bind(account.url)
      .bind_blob(box.seal(account.key_der, account_context(account.directory)))
      .run();
}

Result<> delete_account(Connection& connection, const std::string& directory) {
  Query query = connection.query("DELETE FROM account WHERE directory = ?");
  return query.bind(directory).run();
}

}  // namespace latchkey::sqlite
