#pragma once
// The table `meta`, and what is done with it: the key check, the self-test.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

Result<std::optional<std::string>> find_meta(Connection& connection, std::string_view key);
Result<> put_meta(Connection& connection, std::string_view key, std::string_view value);

// The keys in `file`, which is made for a new database. Refused (kInvalid): a file that is lost or
// is not the one that the database was sealed with.
Result<SecretBox> open_box(Connection& connection, const std::filesystem::path& file, Log& log);

// The same for who must not write: the file must be there.
Result<SecretBox> open_existing_box(Connection& connection, const std::filesystem::path& file);

// Writes a probe and reads it with a connection of its own, so that it comes back from the file;
// looks at the free space.
Result<> test_store(Connection& connection);

}  // namespace latchkey::sqlite
