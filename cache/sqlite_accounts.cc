#include "cache/sqlite_accounts.h"

namespace latchkey::sqlite {

std::string account_context(std::string_view directory) {
  std::string context = "account";
  return context.append(1, '\0').append(directory);
}

std::string next_key_context(std::string_view directory) {
  std::string context = "account_next";
  return context.append(1, '\0').append(directory);
}

Result<FoundAccount> find_account(Connection& connection, const SecretBox& box,
                                  const std::string& directory) {
  Query query = connection.query(
      "SELECT url, sealed_key, next_sealed_key, eab_kid, deactivated FROM account "
      "WHERE directory = ?");
  auto row = query.bind(directory).next();
  if (!row) return std::move(row).error();
  FoundAccount found;
  if (!*row) return found;
  auto key = box.open(query.text(1), account_context(directory));
  if (!key) {
    const bool missing = key.error().code == ErrorCode::kNotFound;
    return Error{missing ? ErrorCode::kIo : ErrorCode::kInvalid,
                 "the stored account key for " + directory +
                     " cannot be read: " + key.error().message +
                     (missing ? "; put that key back into the encryption key file"
                              : "; restore a backup of the database, or register a new account "
                                "by \"latchkey account reactivate ISSUER\"")};
  }
  AccountRecord record{.directory = directory,
                       .url = std::string(query.text(0)),
                       .key_der = *std::move(key),
                       .eab_kid = std::string(query.text(3)),
                       .deactivated = query.integer(4) != 0};
  if (!query.is_null(2)) {
    auto next = box.open(query.text(2), next_key_context(directory));
    if (next) {
      record.next_key_der = *std::move(next);
    } else if (next.error().code == ErrorCode::kNotFound) {
      return Error{ErrorCode::kIo, "the stored next account key for " + directory + ": " +
                                       next.error().message +
                                       "; put that key back into the encryption key file"};
    } else {
      found.bad_next_key = std::move(next).error().message;
    }
  }
  found.record = std::move(record);
  return found;
}

Result<> put_account(Connection& connection, const SecretBox& box, const AccountRecord& account) {
  Query query = connection.query(
      "INSERT OR REPLACE INTO account (directory, url, sealed_key, next_sealed_key, eab_kid, "
      "deactivated) VALUES (?, ?, ?, ?, ?, ?)");
  query.bind(account.directory).bind(account.url);
  query.bind_blob(box.seal(account.key_der, account_context(account.directory)));
  if (account.next_key_der.empty()) {
    query.bind_null();
  } else {
    query.bind_blob(box.seal(account.next_key_der, next_key_context(account.directory)));
  }
  return query.bind(account.eab_kid).bind(int64_t{account.deactivated}).run();
}

Result<> delete_account(Connection& connection, const std::string& directory) {
  Query query = connection.query("DELETE FROM account WHERE directory = ?");
  return query.bind(directory).run();
}

}  // namespace latchkey::sqlite
