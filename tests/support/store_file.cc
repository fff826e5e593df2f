#include "tests/support/store_file.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/support/temp_folder.h"

namespace latchkey::test {

std::vector<std::string> StoreFile::query(const std::string& sql) const {
  std::vector<std::string> rows;
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  const int flags = SQLITE_OPEN_READWRITE;  // a WAL left by a killed process is replayed
  int status = sqlite3_open_v2(database_.c_str(), &database, flags, nullptr);
  sqlite3_busy_timeout(database, 5000);
  if (status == SQLITE_OK) {
    status = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
  }
  if (status == SQLITE_OK) {
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
      const auto* text = sqlite3_column_text(statement, 0);
      rows.emplace_back(text == nullptr ? "" : reinterpret_cast<const char*>(text));
    }
  }
  EXPECT_EQ(status, SQLITE_DONE) << database_ << ": " << sql << ": " << sqlite3_errmsg(database);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return rows;
}

bool StoreFile::sound() const {
  const auto rows = query("PRAGMA integrity_check");
  return rows.size() == 1 && rows[0] == "ok";
}

size_t StoreFile::certificates() const {
  const auto rows = query("SELECT count(*) FROM certificate");
  return rows.empty() ? 0 : std::stoul(rows[0]);
}

std::vector<std::string> StoreFile::names() const {
  return query("SELECT name FROM certificate_name ORDER BY name");
}

std::vector<std::string> StoreFile::row_counts() const {
  std::vector<std::string> counts;
  for (const auto& table : query("SELECT name FROM sqlite_schema WHERE type = 'table'")) {
    for (const auto& count : query("SELECT count(*) FROM " + table)) {
      counts.push_back(table + " " + count);
    }
  }
  return counts;
}

void StoreFile::forget(const std::string& name) {
  query("DELETE FROM certificate_name WHERE name = '" + name + "'");
  query("DELETE FROM certificate WHERE name = '" + name + "'");
}

bool StoreFile::contains(std::string_view bytes) const {
  for (const char* suffix : {"", "-wal"}) {
    const std::string text = read_text(database_.string() + suffix);
    if (text.find(bytes) != std::string::npos) return true;
  }
  return false;
}

}  // namespace latchkey::test
