#include "cache/sqlite_schema.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/support/temp_folder.h"

namespace latchkey::sqlite {
namespace {

using testing::HasSubstr;

class SchemaTest : public testing::Test {
 protected:
  std::unique_ptr<Connection> open() {
    auto opened = Connection::open(folder / "db");
    EXPECT_TRUE(opened.has_value());
    return *std::move(opened);
  }
  static int64_t number(Connection& connection, const char* sql) {
    Query query = connection.query(sql);
    const auto row = query.next();
    return row && *row ? query.integer(0) : -1;
  }
  static int64_t version(Connection& connection) {
    return number(connection, "SELECT value FROM meta WHERE key = 'schema_version'");
  }
  test::TempFolder folder;
};

TEST_F(SchemaTest, ANewFileGetsAllAndASecondTimeNothing) {
  const auto db = open();
  ASSERT_TRUE(migrate(*db, migrations()).has_value());
  EXPECT_EQ(version(*db), migrations().back().version);
  ASSERT_TRUE(migrate(*db, migrations()).has_value());
}

TEST_F(SchemaTest, VersionsAreConsecutive) {
  int expected = 1;
  for (const Migration& one : migrations()) EXPECT_EQ(one.version, expected++);
}

TEST_F(SchemaTest, VersionOneIsBroughtUpAndKeepsItsRows) {
  {
    const auto db = open();
    ASSERT_TRUE(migrate(*db, migrations().first(1)).has_value());
    ASSERT_TRUE(db->execute("INSERT INTO account VALUES ('d', 'u', x'00')").has_value());
  }
  std::vector<Migration> steps(migrations().begin(), migrations().end());
  const int next = steps.back().version + 1;
  steps.push_back({next, "ALTER TABLE account ADD COLUMN contact TEXT;"});
  steps.push_back(
      {next + 1, "UPDATE account SET contact = 'ops'; CREATE TABLE lease (name TEXT);"});
  const auto db = open();
  ASSERT_TRUE(migrate(*db, steps).has_value());
  EXPECT_EQ(version(*db), next + 1);
  EXPECT_EQ(number(*db, "SELECT count(*) FROM account WHERE contact = 'ops' AND url = 'u'"), 1);
}

TEST_F(SchemaTest, AStepThatFailsLeavesTheVersionBeforeIt) {
  std::vector<Migration> steps(migrations().begin(), migrations().end());
  const int last = steps.back().version;
  steps.push_back({last + 1, "CREATE TABLE extra (a); CREATE TABLE certificate (a);"});
  const auto db = open();
  const auto done = migrate(*db, steps);
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().message, HasSubstr("schema " + std::to_string(last + 1)));
  EXPECT_THAT(done.error().message, HasSubstr("already exists"));
  EXPECT_EQ(version(*db), last);
  EXPECT_EQ(number(*db, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), 0);
  EXPECT_TRUE(migrate(*db, migrations()).has_value());
}

TEST_F(SchemaTest, ANewerSchemaIsRefusedWithTheRemedy) {
  const auto db = open();
  ASSERT_TRUE(migrate(*db, migrations()).has_value());
  ASSERT_TRUE(db->execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'").has_value());
  const auto done = migrate(*db, migrations());
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(done.error().message, HasSubstr("schema 999"));
  EXPECT_THAT(done.error().message, HasSubstr("start the newer version"));
}

TEST_F(SchemaTest, AnotherProgramsDatabaseIsLeftAlone) {
  const auto db = open();
  ASSERT_TRUE(db->execute("CREATE TABLE songs (title TEXT)").has_value());
  const auto done = migrate(*db, migrations());
  ASSERT_FALSE(done.has_value());
  EXPECT_THAT(done.error().message, HasSubstr("another program"));
  ASSERT_TRUE(db->execute("CREATE TABLE meta (key TEXT, value TEXT)").has_value());
  EXPECT_FALSE(migrate(*db, migrations()).has_value());
  EXPECT_EQ(number(*db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 2);
}

}  // namespace
}  // namespace latchkey::sqlite
