// Files of earlier versions, with what they had in them.
#include <openssl/sha.h>

#include "cache/private_key.h"
#include "cache/sqlite_accounts.h"
#include "cache/sqlite_certificates.h"
#include "cache/sqlite_meta.h"
#include "cache/sqlite_orders.h"
#include "cache/sqlite_schema.h"
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::seconds;

class MigrationTest : public StoreFixture {
 protected:
  // A file of that version with an account.
  void make(int version) {
    std::filesystem::create_directories(state);
    old_ = *sqlite::Connection::open(database);
    ASSERT_TRUE(sqlite::migrate(*old_, sqlite::migrations().first(static_cast<size_t>(version)))
                    .has_value());
    box_ = *sqlite::open_box(*old_, key_file, log);
    sqlite::Query query =
        old_->query("INSERT INTO account (directory, url, sealed_key) VALUES ('d', 'u', ?)");
    ASSERT_TRUE(
        query.bind_blob(box_->seal("the key", sqlite::account_context("d"))).run().has_value());
  }
  // As versions 1 and 2 did it.
  void add(const std::string& text, const CertificatePtr& certificate, int64_t renew_at) {
    const std::vector<std::string> chain = certificate->chain_der();
    std::string issuers(4, '\0');
    for (size_t i = 0; i < 4; ++i) {
      issuers[i] = static_cast<char>(chain[1].size() >> (8 * (3 - i)) & 0xff);
    }
    issuers += chain[1];
    {
      sqlite::Query query = old_->query("INSERT OR IGNORE INTO chain VALUES (1, ?, ?)");
      const std::string hash = sha256(issuers);
      ASSERT_TRUE(query.bind_blob(hash).bind_blob(issuers).run().has_value());
    }
    const std::string sealed = box_->seal(private_key_to_der(certificate->key()),
                                          sqlite::certificate_context(text, chain[0]));
    sqlite::Query query = old_->query(
        "INSERT INTO certificate (name, key_type, generation, issuer, not_before, not_after, "
        "renew_at, leaf, chain_id, sealed_key) VALUES (?, 'p256', 1, 'ca', ?, ?, ?, ?, 1, ?)");
    query.bind(text).bind(certificate->not_before().time_since_epoch().count());
    query.bind(certificate->not_after().time_since_epoch().count()).bind(renew_at);
    ASSERT_TRUE(query.bind_blob(chain[0]).bind_blob(sealed).run().has_value());
    const std::string id = std::to_string(old_->last_row_id());
    const auto named =
        old_->execute("INSERT INTO certificate_name VALUES ('" + text + "', " + id + ")");
    ASSERT_TRUE(named.has_value());
  }
  static std::string sha256(const std::string& bytes);

  std::unique_ptr<sqlite::Connection> old_;
  std::optional<SecretBox> box_;
};

std::string MigrationTest::sha256(const std::string& bytes) {
  std::string hash(32, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
         reinterpret_cast<uint8_t*>(hash.data()));
  return hash;
}

TEST_F(MigrationTest, VersionOneKeepsItsRowsAndGetsTheNewTables) {
  make(1);
  const auto made = ca().issue({"a.test"});
  add("a.test", made, 1'800'000'000);
  old_.reset();
  open();
  EXPECT_EQ(found_serial("a.test"), made->serial());
  EXPECT_EQ((*run(store->find_account("d")))->key_der, "the key");
  FailureRecord failure;
  failure.count = 1;
  done(store->put_failure(name("a.test"), failure));
  EXPECT_TRUE(look("a.test").failure.has_value());
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(MigrationTest, VersionTwosRowsGetPlansAndCountAsSeen) {
  make(2);
  const auto made = ca().issue({"a.test"});
  constexpr int64_t kRenewAt = 1'800'000'000;
  add("a.test", made, kRenewAt);
  add("b.test", ca().issue({"b.test"}), kRenewAt + 5);
  const auto extra = old_->execute(
      "INSERT INTO failure VALUES ('c.test', 'dns', 'm', 'ca', 2, 1, 2, 3);"
      "INSERT INTO verdict VALUES ('c.test', 1, 2, 3, '');"
      "INSERT INTO bucket VALUES ('ca', 'orders', '', 5, 0, 5)");
  ASSERT_TRUE(extra.has_value());
  old_.reset();
  const WallTime before = TestCa::now();
  open();
  const NameRecord found = look("a.test");
  ASSERT_NE(found.certificate, nullptr);
  EXPECT_EQ(found.certificate->serial(), made->serial());
  EXPECT_EQ(private_key_to_der(found.certificate->key()), private_key_to_der(made->key()));
  ASSERT_TRUE(found.info.has_value());
  EXPECT_EQ(found.info->name, name("a.test"));
  EXPECT_EQ(found.info->issuer, "ca");
  EXPECT_EQ(found.info->account, "");
  EXPECT_EQ(found.info->serial, "");
  EXPECT_EQ(found.info->end, made->not_after());
  EXPECT_GE(found.info->last_used, before);
  EXPECT_LE(found.info->last_used, TestCa::now());
  RenewalPlan plan;
  plan.renew_at = plan.look_at = WallTime(seconds(kRenewAt));
  plan.poll_at = WallTime(seconds(0));  // the CA is to be asked
  EXPECT_EQ(found.info->plan, plan);

  const auto due = run(store->find_due(WallTime(seconds(kRenewAt)), 10));
  ASSERT_EQ(due->due.size(), 1u);
  EXPECT_EQ(due->due[0].id, found.info->id);
  EXPECT_EQ(due->next, WallTime(seconds(kRenewAt + 5)));

  EXPECT_EQ(look("c.test").failure->count, 2);
  EXPECT_TRUE(look("c.test").verdict.has_value());
  EXPECT_EQ(run(store->load_buckets(WallTime(seconds(0))))->size(), 1u);
  const auto account = *run(store->find_account("d"));
  EXPECT_EQ(account->key_der, "the key");
  EXPECT_EQ(account->next_key_der, "");
  EXPECT_FALSE(account->deactivated);
  EXPECT_EQ(number("SELECT count(*) FROM sqlite_schema WHERE name = 'certificate_renew_at'"), 0);
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(MigrationTest, AnUpgradeThatWasCutShortIsDoneAgain) {
  make(2);
  add("a.test", ca().issue({"a.test"}), 1);
  // The last statement of the step fails: nothing of it stays.
  ASSERT_TRUE(old_->execute("CREATE TABLE event (a)").has_value());
  old_.reset();
  EXPECT_THAT(refusal(), testing::HasSubstr("schema 3"));
  EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'schema_version'"), 2);
  execute("DROP TABLE event");
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(MigrationTest, VersionThreesRowsAreForEverybodyAndItsOrdersGoOn) {
  make(3);
  const auto made = ca().issue({"a.test", "*.a.test"});
  add("a.test", made, 1);
  ASSERT_TRUE(old_->execute("UPDATE certificate SET end_at = not_after, look_at = 1;"
                            "INSERT INTO certificate_name VALUES ('*.a.test', 1)")
                  .has_value());
  for (const std::string one : {"o.test", "p.test"}) {
    sqlite::Query query = old_->query(
        "INSERT INTO order_state (name, issuer, directory, account, url, sealed_key, profile, "
        "made, renewal) VALUES (?, 'ca', 'd', 'u', 'https://ca.test/o', ?, 'p', 7, 1)");
    query.bind(one).bind_blob(
        box_->seal("the order's key", sqlite::order_context(one, "https://ca.test/o")));
    ASSERT_TRUE(query.run().has_value());
  }
  old_.reset();
  open();
  const NameRecord found = look("a.test");
  ASSERT_NE(found.certificate, nullptr);
  EXPECT_EQ(found.info->slot, Slot::kMain);
  EXPECT_EQ(found.certificate->serial(), made->serial());
  EXPECT_EQ(found_serial("x.a.test"), made->serial());
  EXPECT_EQ(*run(store->find_certificate(name("a.test"), Slot::kRsa)), nullptr);

  const auto orders = *run(store->load_orders(10));
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].name, name("o.test"));
  EXPECT_EQ(orders[0].slot, Slot::kMain);
  EXPECT_EQ(orders[0].key_der, "the order's key");
  EXPECT_EQ(orders[0].url, "https://ca.test/o");
  EXPECT_EQ(orders[0].profile, "p");
  EXPECT_EQ(orders[0].made, WallTime(seconds(7)));
  EXPECT_TRUE(orders[0].renewal);
  EXPECT_EQ((*run(store->find_account("d")))->key_der, "the key");
  EXPECT_EQ(run(store->find_due_staples(WallTime(seconds(9)), 5))->next, RenewalPlan::kNever);
  EXPECT_TRUE(run(store->load_dns_proofs(5))->empty());
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(MigrationTest, VersionFourGetsTheTablesOfAuthoritiesAndGoesOnResealing) {
  make(4);
  const auto made = ca().issue({"a.test"});
  add("a.test", made, 1);
  // All was sealed anew, as far as that version knew.
  const std::string note = box_->key_ids() + "\n4\n";
  ASSERT_TRUE(sqlite::put_meta(*old_, "reseal", note).has_value());
  old_.reset();
  open();
  EXPECT_EQ(found_serial("a.test"), made->serial());
  AuthorityStore& authorities = store->authority_store();
  EXPECT_TRUE(run(authorities.load_authority_keys("local"))->empty());
  ASSERT_TRUE(
      run(authorities.put_authority_key({.authority = "local", .certificate = "c", .key_der = "k"}))
          .has_value());
  done(authorities.put_issued({.authority = "local", .serial = "0a", .leaf = "l"}));
  EXPECT_TRUE(*run(store->reseal()));
  EXPECT_EQ(test::StoreFile(database).query("SELECT value FROM meta WHERE key = 'reseal'")[0],
            box_->key_ids() + "\n5\n")
      << "the new table was looked at";
  EXPECT_EQ((*run(authorities.load_authority_keys("local")))[0].key_der, "k");
  store.reset();
  EXPECT_TRUE(test::StoreFile(database).sound());
}

TEST_F(MigrationTest, AnUpgradeOfOrdersThatWasCutShortIsDoneAgain) {
  make(3);
  ASSERT_TRUE(old_->execute("INSERT INTO order_state VALUES ('a.test', '', '', '', '', x'', '', 1, "
                            "0); CREATE TABLE dns_proof (a)")
                  .has_value());
  old_.reset();
  EXPECT_THAT(refusal(), testing::HasSubstr("schema 4"));
  EXPECT_EQ(number("SELECT value FROM meta WHERE key = 'schema_version'"), 3);
  EXPECT_EQ(number("SELECT count(*) FROM order_state"), 1);
  execute("DROP TABLE dns_proof");
  open();
  EXPECT_EQ(number("SELECT count(*) FROM order_state WHERE slot = 0"), 1);
}

}  // namespace
}  // namespace latchkey
