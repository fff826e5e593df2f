#pragma once
// The table of ACME accounts: what the store does, on one connection, on the calling thread.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/store.h"

namespace latchkey::sqlite {

struct FoundAccount {
  std::optional<AccountRecord> record{};
  // Why the key of a rollover under way counts as none, or "": then the CA decides which one it
  // has, and where it has the lost one the account is made anew.
  std::string bad_next_key{};
};

// A key that does not open is an error, never "none": a new account would be made. kInvalid: it is
// damaged; kIo: what it is sealed with is not here.
Result<FoundAccount> find_account(Connection& connection, const SecretBox& box,
                                  const std::string& directory);
Result<> put_account(Connection& connection, const SecretBox& box, const AccountRecord& account);
Result<> delete_account(Connection& connection, const std::string& directory);

// What an account's sealed keys are bound to.
std::string account_context(std::string_view directory);
std::string next_key_context(std::string_view directory);

}  // namespace latchkey::sqlite
