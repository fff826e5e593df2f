// A look into the store from another process.
#include "cache/private_key.h"
#include "tests/cache/store_fixture.h"

namespace latchkey {
namespace {

using testing::HasSubstr;

class SqliteReadOnlyTest : public StoreFixture {
 protected:
  Result<std::unique_ptr<SqliteStore>> look_in() {
    SqliteStore::Options reading = options();
    reading.read_only = true;
    return SqliteStore::open(reading, loop.address(), log);
  }
  std::string why_not() {
    const auto opened = look_in();
    return opened ? "" : opened.error().message;
  }
};

TEST_F(SqliteReadOnlyTest, AnotherProcessReadsWhileTheOwnerRunsAndAfterwards) {
  open();
  const auto made = ca().issue({"a.test"});
  put("a.test", made);
  {
    auto reading = look_in();
    ASSERT_TRUE(reading.has_value()) << reading.error().message;
    const CertificatePtr found = *run((*reading)->find_certificate(name("a.test")));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(private_key_to_der(found->key()), private_key_to_der(made->key()));
    const auto later = ca().issue({"b.test"});
    put("b.test", later);
    EXPECT_EQ((*run((*reading)->find_certificate(name("b.test"))))->serial(), later->serial());
    EXPECT_EQ(run((*reading)->list_certificates({}))->size(), 2u);
  }
  store.reset();
  auto reading = look_in();
  ASSERT_TRUE(reading.has_value()) << reading.error().message;
  EXPECT_NE(*run((*reading)->find_certificate(name("a.test"))), nullptr);
}

TEST_F(SqliteReadOnlyTest, ItWritesNothing) {
  open();
  put("a.test", ca().issue({"a.test"}));
  auto reading = look_in();
  ASSERT_TRUE(reading.has_value());
  const auto put = run((*reading)->put_certificate(name("b.test"), ca().issue({"b.test"}), "ca"));
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().code, ErrorCode::kIo);
  execute("UPDATE certificate SET sealed_key = x'01'");
  const auto bad = run((*reading)->find_certificate(name("a.test")));
  ASSERT_FALSE(bad.has_value());
  EXPECT_THAT(bad.error().message, HasSubstr("a.test"));
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 0);
  EXPECT_EQ(*run(store->count_certificates()), 1u);
}

TEST_F(SqliteReadOnlyTest, ItMakesNothingAndUpgradesNothing) {
  EXPECT_THAT(why_not(), HasSubstr("there is no database"));
  EXPECT_FALSE(std::filesystem::exists(state));
  open();
  store.reset();
  execute("UPDATE meta SET value = 3 WHERE key = 'schema_version'");
  EXPECT_THAT(why_not(), testing::AllOf(HasSubstr("schema 3"), HasSubstr("latchkey run")));
  EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'schema_version'"), 3);
  execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'");
  EXPECT_THAT(why_not(), HasSubstr("newer version"));
}

TEST_F(SqliteReadOnlyTest, ItNeedsTheRightKeyFile) {
  open();
  store.reset();
  std::filesystem::remove(key_file);
  EXPECT_THAT(why_not(), HasSubstr("is lost"));
  EXPECT_FALSE(std::filesystem::exists(key_file));
  ASSERT_TRUE(SecretBox::make(key_file, log).has_value());
  EXPECT_THAT(why_not(), HasSubstr("not the right one"));
}

}  // namespace
}  // namespace latchkey
