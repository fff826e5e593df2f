#include "cache/sqlite_reseal.h"

#include <sys/wait.h>

#include <csignal>

#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ResealTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    keys_.push_back(test::read_text(key_file));
  }
  // Another key goes first; its id is eight of the digit.
  void add_key(char digit) {
    store.reset();
    keys_.insert(keys_.begin(),
                 "latchkey-key-1 " + std::string(8, digit) + " " + std::string(64, digit) + "\n");
    write_keys(keys_);
  }
  void write_keys(const std::vector<std::string>& keys) {
    std::string text;
    for (const std::string& one : keys) text += one;
    store.reset();
    test::write_text(key_file, text);
    open();
  }
  // One secret in each sealed column.
  void fill(const std::string& prefix) {
    const std::string text = prefix + ".test";
    put(text, ca().issue({text}));
    done(store->put_account({prefix, "u", "key of " + prefix, "next of " + prefix}));
    done(store->put_order({.name = name("ordered-" + text),
                           .issuer = "ca",
                           .directory = "d",
                           .account = "a",
                           .url = "o",
                           .key_der = "order of " + prefix}));
    const AuthorityKey key{
        .authority = prefix, .certificate = "certificate", .key_der = "CA key of " + prefix};
    ASSERT_TRUE(run(store->authority_store().put_authority_key(key)).has_value());
  }
  void expect_found(const std::string& prefix) {
    EXPECT_NE(find(prefix + ".test"), nullptr) << prefix;
    const auto account = run(store->find_account(prefix));
    ASSERT_TRUE(account.has_value()) << account.error().message;
    EXPECT_EQ((*account)->key_der, "key of " + prefix);
    EXPECT_EQ((*account)->next_key_der, "next of " + prefix);
    const auto order = look("ordered-" + prefix + ".test").order;
    ASSERT_TRUE(order.has_value());
    EXPECT_EQ(order->key_der, "order of " + prefix);
    const auto keys = run(store->authority_store().load_authority_keys(prefix));
    ASSERT_TRUE(keys.has_value()) << keys.error().message;
    ASSERT_EQ(keys->size(), 1u);
    EXPECT_EQ(keys->front().key_der, "CA key of " + prefix);
  }
  // Calls until it is done.
  int reseal() {
    for (int calls = 1;; ++calls) {
      const auto all = run(store->reseal());
      EXPECT_TRUE(all.has_value()) << all.error().message;
      if (!all || *all) return calls;
    }
  }
  // Copies of a row, more than two pieces.
  void add_many() {
    execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT " +
            std::to_string(2 * sqlite::kResealRows + 100) +
            ") INSERT INTO certificate (name, key_type, generation, issuer, not_before, "
            "not_after, renew_at, leaf, chain_id, sealed_key) SELECT name, key_type, 1, issuer, "
            "not_before, not_after, renew_at, leaf, chain_id, sealed_key FROM n, "
            "(SELECT * FROM certificate WHERE id = 1)");
  }
  // Certificates that are sealed with that key.
  int64_t sealed_with(const std::string& id) {
    const std::string sql =
        "SELECT count(*) FROM certificate WHERE hex(substr(sealed_key, 2, 4)) = '" + id + "'";
    return number(sql.c_str());
  }

  std::vector<std::string> keys_;  // the one that seals first
};

TEST_F(ResealTest, OverThreeKeysEverythingOpensWithTheNewestAlone) {
  fill("one");
  add_key('1');
  fill("two");
  add_key('2');
  fill("three");
  expect_found("one");
  reseal();
  EXPECT_EQ(sealed_with("22222222"), 3);
  write_keys({keys_.front()});
  for (const char* one : {"one", "two", "three"}) expect_found(one);
  EXPECT_THAT(logged(), Not(HasSubstr("store_row_not_resealed")));
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(ResealTest, OnceItIsDoneItCostsNothing) {
  fill("one");
  reseal();
  EXPECT_TRUE(*run(store->reseal()));
  restart();
  const std::string before =
      test::StoreFile(database).query("SELECT value FROM meta WHERE key = 'reseal'")[0];
  EXPECT_EQ(reseal(), 1) << "after a restart it is known";
  EXPECT_THAT(before, HasSubstr("\n5\n"));
  execute("CREATE TRIGGER t BEFORE UPDATE ON meta BEGIN SELECT raise(ABORT, 'no'); END");
  EXPECT_TRUE(*run(store->reseal())) << "nothing is written";
}

TEST_F(ResealTest, APieceIsBoundedAndARestartGoesOn) {
  fill("one");
  add_many();
  add_key('1');
  EXPECT_FALSE(*run(store->reseal()));
  EXPECT_EQ(sealed_with("11111111"), sqlite::kResealRows);
  restart();
  EXPECT_EQ(sealed_with("11111111"), sqlite::kResealRows);
  EXPECT_FALSE(*run(store->reseal()));
  EXPECT_EQ(sealed_with("11111111"), 2 * sqlite::kResealRows) << "it went on behind them";
  reseal();
  EXPECT_EQ(sealed_with("11111111"), 2 * sqlite::kResealRows + 101);
}

TEST_F(ResealTest, AKillInBetweenLosesNothing) {
  fill("one");
  add_many();
  add_key('1');
  store.reset();
  for (int pieces = 0; pieces < 4; ++pieces) {
    const pid_t child = fork_with_a_loop();
    if (child == 0) {
      auto opened = try_open();
      if (!opened) ::_exit(1);
      for (int i = 0; i < pieces; ++i) (void)run((*opened)->reseal());
      Task<bool> last = (*opened)->reseal();
      last.start();
      ::usleep(static_cast<useconds_t>(3000 * pieces));
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  open();
  expect_found("one");
  reseal();
  write_keys({keys_.front()});
  expect_found("one");
  EXPECT_EQ(sealed_with("11111111"), 2 * sqlite::kResealRows + 101);
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(ResealTest, AnotherSetOfKeysBeginsAnew) {
  fill("one");
  reseal();
  add_key('1');
  EXPECT_FALSE(*run(store->reseal()));
  reseal();
  EXPECT_EQ(sealed_with("11111111"), 1);
  // Back to the old one.
  std::swap(keys_[0], keys_[1]);
  write_keys(keys_);
  reseal();
  EXPECT_EQ(sealed_with("11111111"), 0);
  expect_found("one");
}

TEST_F(ResealTest, ARowThatDoesNotOpenIsLeftAloneAndReportedOnce) {
  fill("one");
  add_key('1');
  fill("two");
  // The first key is dropped too early.
  write_keys({keys_[0]});
  add_key('2');
  write_keys({keys_[0], keys_[1]});
  reseal();
  EXPECT_EQ(sealed_with("22222222"), 1);
  expect_found("two");
  const std::string missing =
      keys_[2].substr(keys_[2].find("latchkey-key-1 ") + 15, 8);  // behind the comments
  EXPECT_THAT(logged(), AllOf(HasSubstr("store_row_not_resealed"), HasSubstr(missing),
                              HasSubstr("one.test")));
  const std::string once = logged();
  reseal();
  restart();
  reseal();
  EXPECT_EQ(logged(), once);
  // With the key it is done after all.
  write_keys(keys_);
  reseal();
  write_keys({keys_[0]});
  expect_found("one");
  expect_found("two");
}

TEST_F(ResealTest, ADamagedNoteBeginsAnew) {
  fill("one");
  reseal();
  for (const char* damage : {"x''", "'junk'", "7", "value || 'x' || char(10)",
                             "replace(value, char(10) || '5', char(10) || '9')"}) {
    execute("UPDATE meta SET value = " + std::string(damage) + " WHERE key = 'reseal'");
    restart();
    reseal();
    expect_found("one");
  }
}

}  // namespace
}  // namespace latchkey
