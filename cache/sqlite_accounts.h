#pragma once
// The table of ACME accounts: what the store does, on one connection, on the calling thread.

#include <optional>
#include <string>

#include "base/result.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/store.h"

namespace latchkey::sqlite {

// A key that does not open is an error, never "none": a new account would be made.
Result<std::optional<AccountRecord>> find_account(Connection& connection, const SecretBox& box,
                                                  const std::string& directory);
Result<> put_account(Connection& connection, const SecretBox& box, const AccountRecord& account);
Result<> delete_account(Connection& connection, const std::string& directory);

}  // namespace latchkey::sqlite
