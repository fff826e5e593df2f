#pragma once
#include <span>

#include "base/result.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// Takes a database from one schema version to the next. Never changed once it was released: what
// comes later is a new migration.
struct Migration {
  int version;  // that the database then has; 1, 2, 3, …
  const char* sql;
};

// All of them, in order.
std::span<const Migration> migrations();

// Brings the database up to the last migration, each in a transaction of its own. A new file gets
// them all. Errors: a database of another program, one of a newer version of ours (kInvalid), what
// SQLite says.
Result<> migrate(Connection& connection, std::span<const Migration> steps);

// For who must not write: an error unless the database is up to the last migration.
Result<> check_schema(Connection& connection);

}  // namespace latchkey::sqlite
