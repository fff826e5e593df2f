#include "cache/sqlite_store.h"

#include <sys/stat.h>

#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_certificates.h"
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using testing::HasSubstr;

class SqliteStoreTest : public StoreFixture {};

TEST_F(SqliteStoreTest, WhatWasPutIsFound) {
  open();
  const auto made = ca().issue({"a.test"});
  EXPECT_EQ(find("a.test"), nullptr);
  put("a.test", made);
  const auto found = find("a.test");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->chain_der(), made->chain_der());
  EXPECT_EQ(private_key_to_der(found->key()), private_key_to_der(made->key()));
  EXPECT_EQ(find("b.test"), nullptr);
  EXPECT_EQ(*run(store->count_certificates()), 1u);
}

TEST_F(SqliteStoreTest, ItIsThereAfterARestart) {
  open();
  const auto made = ca().issue({"a.test"});
  put("a.test", made);
  store.reset();
  open();
  EXPECT_EQ(found_serial("a.test"), made->serial());
}

TEST_F(SqliteStoreTest, KeysOfAllKindsAreKept) {
  open();
  const auto rsa =
      ca().issue({"a.test"}, TestCa::now(), TestCa::now() + hours(1), generate_rsa_key());
  put("a.test", rsa);
  const auto found = find("a.test");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(private_key_to_der(found->key()), private_key_to_der(rsa->key()));
}

TEST_F(SqliteStoreTest, TheExactNameGoesBeforeTheWildcard) {
  open();
  const auto wild = ca().issue({"*.w.test"});
  const auto exact = ca().issue({"a.w.test"});
  put("x.w.test", wild);
  put("a.w.test", exact);
  EXPECT_EQ(found_serial("a.w.test"), exact->serial());
  EXPECT_EQ(found_serial("b.w.test"), wild->serial());
  EXPECT_EQ(found_serial("w.test"), "none");
  EXPECT_EQ(found_serial("a.b.w.test"), "none");
  EXPECT_EQ(found_serial("test"), "none");
}

TEST_F(SqliteStoreTest, AnExpiredExactOneHidesNoGoodWildcard) {
  open();
  const WallTime now = TestCa::now();
  const auto wild = ca().issue({"*.w.test"});
  const auto old = ca().issue({"a.w.test"}, now - hours(9), now - hours(1));
  put("x.w.test", wild);
  put("a.w.test", old);
  EXPECT_EQ(found_serial("a.w.test"), wild->serial());
  put("x.w.test", ca().issue({"*.w.test"}, now - hours(7), now - hours(1)));
  execute("DELETE FROM certificate WHERE serial = '" + wild->serial() + "'");
  EXPECT_EQ(found_serial("a.w.test"), old->serial());
}

TEST_F(SqliteStoreTest, AnExpiredOneIsFoundToo) {
  open();
  const auto old = ca().issue({"a.test"}, TestCa::now() - hours(9), TestCa::now() - hours(1));
  put("a.test", old);
  EXPECT_EQ(found_serial("a.test"), old->serial());
}

TEST_F(SqliteStoreTest, ANewOneReplacesTheOldAndItsKey) {
  open();
  CertificatePtr last;
  for (int i = 0; i < 3; ++i) {
    last = ca().issue({"a.test"});
    put("a.test", last);
  }
  EXPECT_EQ(found_serial("a.test"), last->serial());
  EXPECT_EQ(number("SELECT count(*) FROM certificate"), 1);
  EXPECT_EQ(number("SELECT generation FROM certificate"), 3);
  EXPECT_EQ(number("SELECT count(*) FROM certificate_name"), 1);
  EXPECT_EQ(number("SELECT renew_at - not_before FROM certificate"),
            (last->not_after() - last->not_before()).count() / 3 * 2);
}

TEST_F(SqliteStoreTest, ChainsAreKeptOnceAndGoWithTheirLastLeaf) {
  open();
  const TestCa other("Other");
  put("a.test", ca().issue({"a.test"}));
  put("b.test", ca().issue({"b.test"}));
  put("c.test", other.issue({"c.test"}));
  EXPECT_EQ(number("SELECT count(*) FROM chain"), 2);
  put("c.test", ca().issue({"c.test"}));
  EXPECT_EQ(number("SELECT count(*) FROM chain"), 1);
}

TEST_F(SqliteStoreTest, AllNamesOfACertificateLeadToIt) {
  open();
  const auto both = ca().issue({"a.test", "b.test", "*.w.test"});
  put("a.test", both);
  EXPECT_EQ(found_serial("b.test"), both->serial());
  EXPECT_EQ(found_serial("x.w.test"), both->serial());

  const auto own = ca().issue({"a.test"});
  put("a.test", own);
  EXPECT_EQ(found_serial("a.test"), own->serial());
  EXPECT_EQ(found_serial("b.test"), both->serial()) << "it is still needed for its other names";
  put("b.test", ca().issue({"b.test"}));
  put("x.w.test", ca().issue({"*.w.test"}));
  EXPECT_EQ(number("SELECT count(*) FROM certificate"), 3) << "nobody needs it any more";
}

TEST_F(SqliteStoreTest, AnOlderCertificateTakesNoOtherNameFromANewerOne) {
  open();
  const auto newer = ca().issue({"b.test"});
  const auto older =
      ca().issue({"a.test", "b.test"}, TestCa::now() - hours(99), TestCa::now() + hours(99));
  put("b.test", newer);
  put("a.test", older);
  EXPECT_EQ(found_serial("a.test"), older->serial());
  EXPECT_EQ(found_serial("b.test"), newer->serial());
  put("b.test", older);
  EXPECT_EQ(found_serial("b.test"), older->serial()) << "but who asks for the name gets it";
}

TEST_F(SqliteStoreTest, DeletingANameDeletesWhatNobodyElseNeeds) {
  open();
  put("a.test", ca().issue({"a.test", "b.test"}));
  ASSERT_TRUE(run(store->delete_certificate(name("a.test"))).has_value());
  EXPECT_EQ(find("a.test"), nullptr);
  EXPECT_NE(find("b.test"), nullptr);
  ASSERT_TRUE(run(store->delete_certificate(name("b.test"))).has_value());
  ASSERT_TRUE(run(store->delete_certificate(name("b.test"))).has_value());
  EXPECT_EQ(number("SELECT count(*) FROM certificate"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM chain"), 0);
}

TEST_F(SqliteStoreTest, AccountsAreKeptAndReplaced) {
  open();
  const std::string directory = "https://ca.test/directory";
  EXPECT_FALSE(run(store->find_account(directory))->has_value());
  const std::string key = private_key_to_der(generate_p256_key());
  ASSERT_TRUE(run(store->put_account({directory, "https://ca.test/1", "old"})).has_value());
  ASSERT_TRUE(run(store->put_account({directory, "https://ca.test/2", key})).has_value());
  store.reset();
  open();
  const auto found = run(store->find_account(directory));
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->url, "https://ca.test/2");
  EXPECT_EQ((*found)->key_der, key);
  ASSERT_TRUE(run(store->delete_account(directory)).has_value());
  EXPECT_FALSE(run(store->find_account(directory))->has_value());
}

TEST_F(SqliteStoreTest, AnAccountKeyThatCannotBeReadIsAnError) {
  open();
  ASSERT_TRUE(run(store->put_account({"d", "u", "key"})).has_value());
  execute("UPDATE account SET sealed_key = x'0102'");
  const auto found = run(store->find_account("d"));
  ASSERT_FALSE(found.has_value());
  EXPECT_THAT(found.error().message, HasSubstr("restore a backup"));
}

TEST_F(SqliteStoreTest, NoSecretIsReadableInItsFiles) {
  open();
  const auto made = ca().issue({"a.test"});
  put("a.test", made);
  ASSERT_TRUE(run(store->put_account({"d", "u", "a secret account key"})).has_value());
  store.reset();  // writes the log into the file
  const std::string der = private_key_to_der(made->key());
  const test::StoreFile file(database);
  EXPECT_TRUE(file.sound());
  EXPECT_FALSE(file.contains("a secret account key"));
  EXPECT_FALSE(file.contains(der.substr(36, 32))) << "the P-256 scalar";
  EXPECT_TRUE(file.contains("a.test"));
}

TEST_F(SqliteStoreTest, ItsFilesAreForUsAlone) {
  open();
  put("a.test", ca().issue({"a.test"}));
  for (const char* file : {"latchkey.db", "latchkey.db-wal", "latchkey.db-shm", "encryption.key"}) {
    struct stat found {};
    ASSERT_EQ(::stat((state / file).c_str(), &found), 0) << file;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << file;
  }
  struct stat found {};
  ASSERT_EQ(::stat(state.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  EXPECT_THAT(logged(), HasSubstr("encryption_key_made"));
  store.reset();
  ::chmod(database.c_str(), 0644);
  open();
  ASSERT_EQ(::stat(database.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(SqliteStoreTest, TheSelfTestLeavesNothingBehind) {
  open();
  const auto tested = run(store->self_test());
  ASSERT_TRUE(tested.has_value()) << tested.error().message;
  EXPECT_EQ(number("SELECT count(*) FROM meta WHERE key = 'probe'"), 0);
}

// Every way in which a row can be wrong, as SQL on the row of a.w.test.
class BadRowTest : public SqliteStoreTest, public testing::WithParamInterface<const char*> {};

TEST_P(BadRowTest, IsSetAsideAndCountsAsNone) {
  open();
  put("a.w.test", ca().issue({"a.w.test"}));
  put("b.w.test", ca().issue({"b.w.test"}));
  execute(GetParam());
  EXPECT_EQ(find("a.w.test"), nullptr);
  EXPECT_THAT(logged(), HasSubstr("store_row_quarantined"));
  EXPECT_THAT(logged(), HasSubstr("a.w.test"));
  EXPECT_EQ(number("SELECT count(*) FROM certificate WHERE id = 1"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1);

  const auto fresh = ca().issue({"a.w.test"});
  put("a.w.test", fresh);
  EXPECT_EQ(found_serial("a.w.test"), fresh->serial());
}

constexpr const char* kDamages[] = {
    "UPDATE certificate SET sealed_key = x'' WHERE id = 1",
    "UPDATE certificate SET sealed_key = substr(sealed_key, 1, length(sealed_key) - 1) WHERE id = "
    "1",
    "UPDATE certificate SET sealed_key = (SELECT sealed_key FROM certificate WHERE id = 2) "
    "WHERE id = 1",
    "UPDATE certificate SET leaf = (SELECT leaf FROM certificate WHERE id = 2) WHERE id = 1",
    "UPDATE certificate SET leaf = x'3000' WHERE id = 1",
    "UPDATE certificate SET leaf = substr(leaf, 1, length(leaf) - 1) || "
    "CASE substr(leaf, -1) WHEN x'00' THEN x'01' ELSE x'00' END WHERE id = 1",
    "UPDATE certificate SET leaf = 17 WHERE id = 1",
    "INSERT INTO chain VALUES (99, x'01', x'0000'); "
    "UPDATE certificate SET chain_id = 99 WHERE id = 1",
    "PRAGMA foreign_keys=OFF; UPDATE certificate SET chain_id = 98 WHERE id = 1",
};
INSTANTIATE_TEST_SUITE_P(Damages, BadRowTest, testing::ValuesIn(kDamages));

TEST_F(SqliteStoreTest, BehindABadExactRowTheWildcardIsFound) {
  open();
  const auto wild = ca().issue({"*.w.test"});
  put("b.w.test", wild);
  put("a.w.test", ca().issue({"a.w.test"}));
  execute("UPDATE certificate SET sealed_key = x'00' WHERE name = 'a.w.test'");
  EXPECT_EQ(found_serial("a.w.test"), wild->serial());
}

TEST_F(SqliteStoreTest, TheQuarantineIsBounded) {
  open();
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1500) "
      "INSERT INTO quarantine (at, cause, name) SELECT 0, '', '' FROM n");
  put("a.test", ca().issue({"a.test"}));
  execute("UPDATE certificate SET sealed_key = x''");
  EXPECT_EQ(find("a.test"), nullptr);
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1000);
}

TEST_F(SqliteStoreTest, ATaskThatIsDroppedIsForgottenButItsPutIsDone) {
  open();
  const auto made = ca().issue({"a.test"});
  {
    Task<> dropped = store->put_certificate(name("a.test"), made, "ca");
    dropped.start();
  }
  EXPECT_TRUE(run(store->self_test()).has_value());  // the same thread, later
  EXPECT_EQ(found_serial("a.test"), made->serial());
  {
    Task<CertificatePtr> look = store->find_certificate(name("a.test"));
    look.start();
  }
  execute("UPDATE certificate SET sealed_key = x''");
  // Dropped after the first, the second, … wait: look, quarantine.
  for (int turns = 0; turns < 3; ++turns) {
    Task<CertificatePtr> look = store->find_certificate(name("a.test"));
    look.start();
    test::turn(loop, look, turns);
  }
  EXPECT_EQ(find("a.test"), nullptr);
}

TEST_F(SqliteStoreTest, ClosingFinishesWhatWasAccepted) {
  open();
  std::vector<Task<>> puts;
  for (int i = 0; i < 20; ++i) {
    const std::string one = "n" + std::to_string(i) + ".test";
    puts.push_back(store->put_certificate(name(one), ca().issue({one}), "ca"));
    puts.back().start();
  }
  store.reset();
  open();
  EXPECT_EQ(*run(store->count_certificates()), 20u);
}

TEST_F(SqliteStoreTest, TenThousandCertificatesAreFoundQuickly) {
  open();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kCount = 1'000;  // they are slow enough
#else
  constexpr int kCount = 10'000;
#endif
  const PrivateKey key = generate_p256_key();
  const WallTime now = TestCa::now();
  {
    const auto box = SecretBox::from_file(key_file);
    ASSERT_TRUE(box.has_value());
    auto connection = sqlite::Connection::open(database);
    ASSERT_TRUE((*connection)->execute("PRAGMA synchronous=OFF").has_value());
    for (int i = 0; i < kCount; ++i) {
      const std::string one = "n" + std::to_string(i) + ".test";
      const auto made = ca().issue({one}, now, now + hours(9), key);
      ASSERT_TRUE(sqlite::put_certificate(**connection, *box, name(one), *made, "ca").has_value());
    }
  }
  std::vector<double> micros;
  for (int i = 0; i < 1000; ++i) {
    const ServerName one = name("n" + std::to_string(i * 7919 % kCount) + ".test");
    const auto start = std::chrono::steady_clock::now();
    const auto found = run(store->find_certificate(one));
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    ASSERT_TRUE(found.has_value() && *found != nullptr && (*found)->covers(one));
    micros.push_back(took.count());
  }
  std::sort(micros.begin(), micros.end());
  std::vector<double> putting;
  for (int i = 0; i < 50; ++i) {
    const std::string one = "p" + std::to_string(i) + ".test";
    const auto made = ca().issue({one}, now, now + hours(9), key);
    const auto start = std::chrono::steady_clock::now();
    put(one, made);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    putting.push_back(took.count());
  }
  std::sort(putting.begin(), putting.end());
  std::printf("found one of %d: %.0f us p50, %.0f us p99; put: %.0f us p50, %.0f us max\n", kCount,
              micros[500], micros[990], putting[25], putting[49]);
  store.reset();
  const auto start = std::chrono::steady_clock::now();
  open();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::printf("opened in %.1f ms\n", took.count());
}

}  // namespace
}  // namespace latchkey
