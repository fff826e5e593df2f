// What embedded authorities have in the store.
#include "cache/sqlite_authority.h"

#include <deque>

#include "tests/cache/store_fixture.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const WallTime kNow = TestCa::now();

class SqliteAuthorityTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }
  AuthorityStore& authorities() { return store->authority_store(); }

  static AuthorityKey key(const std::string& authority, bool root, int64_t parent = 0) {
    return {.authority = authority,
            .root = root,
            .parent = parent,
            .certificate = "certificate of " + authority + std::to_string(parent),
            .link = root ? "" : "link",
            .not_before = kNow,
            .not_after = kNow + hours(48),
            .key_der = "key of " + authority};
  }
  static IssuedCertificate issued(const std::string& serial, int64_t signer = 1) {
    return {.authority = "local",
            .serial = serial,
            .signer = signer,
            .holder = "account-1",
            .not_before = kNow,
            .not_after = kNow + hours(12),
            .leaf = std::string("der\0der", 7) + serial};
  }
  static AcmeAccountRow account(const std::string& id, const std::string& thumbprint) {
    return {.authority = "local", .id = id, .thumbprint = thumbprint, .document = "{" + id + "}"};
  }
  static AcmeOrderRow order(const std::string& id, const std::string& document = "{}") {
    return {.authority = "local",
            .id = id,
            .account = "account-1",
            .expires = kNow + hours(1),
            .document = document};
  }
  template <typename T>
  T got(Task<T> task) {
    auto result = run(std::move(task));
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return result ? *std::move(result) : T();
  }
  std::vector<std::string> revoked(int64_t signer, WallTime at) {
    std::vector<std::string> serials;
    for (const auto& one : got(authorities().list_revoked("local", signer, at))) {
      EXPECT_EQ(one.leaf, "");
      serials.push_back(one.serial);
    }
    return serials;
  }
};

TEST_F(SqliteAuthorityTest, KeysComeBackOldestFirstEachAuthoritysOwn) {
  EXPECT_THAT(got(authorities().load_authority_keys("local")), IsEmpty());
  const int64_t root = got(authorities().put_authority_key(key("local", true)));
  const int64_t other = got(authorities().put_authority_key(key("other", true)));
  const int64_t intermediate = got(authorities().put_authority_key(key("local", false, root)));
  EXPECT_LT(root, other);
  EXPECT_LT(other, intermediate);
  restart();
  const auto found = got(authorities().load_authority_keys("local"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].id, root);
  EXPECT_TRUE(found[0].root);
  EXPECT_EQ(found[0].parent, 0);
  EXPECT_EQ(found[0].link, "");
  EXPECT_EQ(found[1].id, intermediate);
  EXPECT_FALSE(found[1].root);
  EXPECT_EQ(found[1].parent, root);
  EXPECT_EQ(found[1].link, "link");
  EXPECT_EQ(found[1].certificate, key("local", false, root).certificate);
  EXPECT_EQ(found[1].not_before, kNow);
  EXPECT_EQ(found[1].not_after, kNow + hours(48));
  EXPECT_EQ(found[1].key_der, "key of local");
  EXPECT_EQ(number("SELECT count(*) FROM authority_key WHERE instr(sealed_key, 'key of') > 0"), 0);
}

TEST_F(SqliteAuthorityTest, AKeyThatDoesNotOpenIsAnErrorAndNeverNone) {
  got(authorities().put_authority_key(key("local", true)));
  got(authorities().put_authority_key(key("other", true)));
  execute(
      "UPDATE authority_key SET sealed_key = (SELECT sealed_key FROM authority_key "
      "WHERE authority = 'other') WHERE authority = 'local'");
  const auto moved = run(authorities().load_authority_keys("local"));
  ASSERT_FALSE(moved.has_value()) << "it is sealed to its row";
  EXPECT_THAT(moved.error().message, AllOf(HasSubstr("\"local\""), HasSubstr("backup")));
  EXPECT_TRUE(run(authorities().load_authority_keys("other")).has_value());

  // A key file without the key that it was sealed with.
  store.reset();
  const std::string old = test::read_text(key_file);
  const std::string fresh =
      "latchkey-key-1 " + std::string(8, '1') + " " + std::string(64, '1') + "\n";
  test::write_text(key_file, fresh + old);
  open();
  store.reset();
  test::write_text(key_file, fresh);
  open();
  const auto missing = run(authorities().load_authority_keys("other"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_THAT(missing.error().message, HasSubstr("put that key back"));
}

TEST_F(SqliteAuthorityTest, ASerialIsIssuedOnce) {
  done(authorities().put_issued(issued("0a")));
  const auto again = run(authorities().put_issued(issued("0a", 2), order("o-1")));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(again.error().message, HasSubstr("0a"));
  EXPECT_EQ(got(authorities().find_acme_order("local", "o-1")), std::nullopt) << "nor its order";
  IssuedCertificate elsewhere = issued("0a");
  elsewhere.authority = "other";
  done(authorities().put_issued(elsewhere));
  restart();
  const auto found = got(authorities().find_issued("local", "0a"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->authority, "local");
  EXPECT_EQ(found->signer, 1);
  EXPECT_EQ(found->holder, "account-1");
  EXPECT_EQ(found->not_before, kNow);
  EXPECT_EQ(found->not_after, kNow + hours(12));
  EXPECT_EQ(found->leaf, issued("0a").leaf);
  EXPECT_EQ(found->revoked_at, std::nullopt);
  EXPECT_EQ(got(authorities().find_issued("local", "0b")), std::nullopt);
}

TEST_F(SqliteAuthorityTest, ACertificateAndItsOrderAreStoredTogether) {
  done(authorities().put_acme_order(order("o-1", "processing")));
  done(authorities().put_issued(issued("0a"), order("o-1", "valid")));
  EXPECT_EQ(got(authorities().find_acme_order("local", "o-1"))->document, "valid");
  EXPECT_TRUE(got(authorities().find_issued("local", "0a")).has_value());
}

TEST_F(SqliteAuthorityTest, RevocationsAreListedUntilTheCertificatesEnd) {
  for (const char* serial : {"0c", "0a", "0b"}) done(authorities().put_issued(issued(serial)));
  done(authorities().put_issued(issued("0d", 2)));
  EXPECT_FALSE(got(authorities().revoke_issued("local", "ff", kNow, 1)));
  EXPECT_FALSE(got(authorities().revoke_issued("other", "0a", kNow, 1)));
  for (const char* serial : {"0c", "0a", "0d"}) {
    EXPECT_TRUE(got(authorities().revoke_issued("local", serial, kNow + hours(1), 4)));
  }
  EXPECT_FALSE(got(authorities().revoke_issued("local", "0a", kNow + hours(2), 1))) << "it is";
  restart();
  const auto found = got(authorities().find_issued("local", "0a"));
  EXPECT_EQ(found->revoked_at, kNow + hours(1));
  EXPECT_EQ(found->reason, 4);
  EXPECT_THAT(revoked(1, kNow), ElementsAre("0a", "0c"));
  EXPECT_THAT(revoked(2, kNow), ElementsAre("0d"));
  EXPECT_THAT(revoked(1, kNow + hours(12)), ElementsAre("0a", "0c"));
  EXPECT_THAT(revoked(1, kNow + hours(13)), IsEmpty());
  EXPECT_EQ(got(authorities().list_revoked("local", 2, kNow))[0].revoked_at, kNow + hours(1));
}

TEST_F(SqliteAuthorityTest, AnAccountHasOneKeyAndAKeyOneAccount) {
  EXPECT_EQ(got(authorities().count_acme_accounts("local")), 0u);
  done(authorities().put_acme_account(account("a", "ta")));
  done(authorities().put_acme_account(account("b", "tb")));
  const auto taken = run(authorities().put_acme_account(account("b", "ta")));
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kInvalid);
  AcmeAccountRow changed = account("a", "tc");
  changed.document = "new";
  done(authorities().put_acme_account(changed));
  AcmeAccountRow elsewhere = account("a", "ta");
  elsewhere.authority = "other";
  done(authorities().put_acme_account(elsewhere));
  restart();
  EXPECT_EQ(got(authorities().count_acme_accounts("local")), 2u);
  EXPECT_EQ(got(authorities().find_acme_account("local", "a"))->document, "new");
  EXPECT_EQ(got(authorities().find_acme_account_by_key("local", "tc"))->id, "a");
  EXPECT_EQ(got(authorities().find_acme_account_by_key("local", "ta")), std::nullopt);
  EXPECT_EQ(got(authorities().find_acme_account("local", "b"))->thumbprint, "tb");
  EXPECT_EQ(got(authorities().find_acme_account("local", "c")), std::nullopt);
}

TEST_F(SqliteAuthorityTest, OrdersAreReplacedAndListedInPages) {
  for (const char* id : {"3", "1", "2"}) done(authorities().put_acme_order(order(id)));
  AcmeOrderRow others = order("4");
  others.account = "account-2";
  done(authorities().put_acme_order(others));
  done(authorities().put_acme_order(order("2", "changed")));
  restart();
  const auto found = got(authorities().find_acme_order("local", "2"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->account, "account-1");
  EXPECT_EQ(found->expires, kNow + hours(1));
  EXPECT_EQ(found->document, "changed");
  EXPECT_EQ(got(authorities().find_acme_order("other", "2")), std::nullopt);
  const auto page = [this](const std::string& after, size_t limit) {
    return got(authorities().list_acme_orders("local", "account-1", after, limit));
  };
  EXPECT_THAT(page("", 2), ElementsAre("1", "2"));
  EXPECT_THAT(page("2", 2), ElementsAre("3"));
  EXPECT_THAT(page("3", 2), IsEmpty());
  EXPECT_THAT(got(authorities().last_acme_orders("local", "account-1", 2)), ElementsAre("3", "2"));
  EXPECT_THAT(got(authorities().last_acme_orders("other", "account-1", 2)), IsEmpty());
}

TEST_F(SqliteAuthorityTest, ASweepTakesWhatHasEndedOfThatAuthorityABoundedNumberAtATime) {
  got(authorities().put_authority_key(key("local", true)));
  got(authorities().put_authority_key(key("other", true)));
  std::deque<Task<>> puts;
  for (int i = 0; i < sqlite::kSweepAuthorityRows + 5; ++i) {
    const std::string id = std::to_string(i);
    puts.push_back(authorities().put_issued(issued(id), order(id)));
    puts.back().start();
  }
  for (Task<>& one : puts) {
    loop.run_until([&] { return one.done(); });
    ASSERT_TRUE(one.outcome().has_value()) << one.outcome().error().message;
  }
  const auto sweep = [this](WallTime now, WallTime certificates_before) {
    return got(authorities().sweep_authority("local", now, certificates_before));
  };
  EXPECT_TRUE(sweep(kNow + hours(1), kNow + hours(12))) << "nothing has ended yet";
  EXPECT_EQ(number("SELECT count(*) FROM acme_order"), sqlite::kSweepAuthorityRows + 5);
  EXPECT_FALSE(sweep(kNow + hours(2), kNow));
  EXPECT_EQ(number("SELECT count(*) FROM acme_order"), 5);
  EXPECT_TRUE(sweep(kNow + hours(2), kNow));
  EXPECT_EQ(number("SELECT count(*) FROM acme_order"), 0);
  EXPECT_FALSE(sweep(kNow + hours(2), kNow + hours(13)));
  EXPECT_EQ(number("SELECT count(*) FROM issued_certificate"), 5);
  EXPECT_TRUE(sweep(kNow + hours(2), kNow + hours(49)));
  EXPECT_EQ(number("SELECT count(*) FROM issued_certificate"), 0);
  EXPECT_THAT(got(authorities().load_authority_keys("local")), IsEmpty());
  EXPECT_EQ(got(authorities().load_authority_keys("other")).size(), 1u);
}

TEST_F(SqliteAuthorityTest, AKeyIsStoredBehindThePutsBeforeIt) {
  std::deque<Task<>> puts;
  for (int i = 0; i < 50; ++i) {
    puts.push_back(authorities().put_issued(issued(std::to_string(i))));
    puts.back().start();
  }
  got(authorities().put_authority_key(key("local", true)));
  EXPECT_EQ(number("SELECT count(*) FROM issued_certificate"), 50);
  for (Task<>& one : puts) EXPECT_TRUE(one.done());
}

TEST_F(SqliteAuthorityTest, APutWhoseTaskIsDroppedTakesEffect) {
  for (int i = 0; i < 20; ++i) {
    Task<> put = authorities().put_issued(issued(std::to_string(i)));
    put.start();
  }
  restart();  // finishes what was accepted
  EXPECT_EQ(number("SELECT count(*) FROM issued_certificate"), 20);
}

TEST_F(SqliteAuthorityTest, AnotherProcessReadsAndWritesNothing) {
  got(authorities().put_authority_key(key("local", true)));
  done(authorities().put_issued(issued("0a")));
  SqliteStore::Options options = this->options();
  options.read_only = true;
  const auto opened = SqliteStore::open(options, loop.address(), log);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  AuthorityStore& reading = (*opened)->authority_store();
  EXPECT_EQ(got(reading.load_authority_keys("local"))[0].key_der, "key of local");
  EXPECT_TRUE(got(reading.find_issued("local", "0a")).has_value());
  const auto refused = run(reading.put_issued(issued("0b")));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_FALSE(run(reading.put_authority_key(key("local", true))).has_value());
}

TEST_F(SqliteAuthorityTest, EveryLookUsesAnIndex) {
  const auto connection = *sqlite::Connection::open(database);
  const std::string certificates = "FROM issued_certificate WHERE authority = 'a' AND ";
  const std::string accounts = "FROM acme_account WHERE authority = 'a'";
  const std::string orders = "FROM acme_order WHERE authority = 'a' AND ";
  const std::vector<std::string> looks{
      "SELECT leaf " + certificates + "serial = 's'",
      "SELECT serial " + certificates +
          "signer = 1 AND revoked_at IS NOT NULL AND +not_after >= 5 ORDER BY serial",
      "SELECT rowid " + certificates + "not_after < 5 ORDER BY not_after LIMIT 5",
      "SELECT document " + accounts + " AND thumbprint = 't'",
      "SELECT count(*) " + accounts,
      "SELECT id " + orders + "account = 'b' AND id > 'c' ORDER BY id LIMIT 5",
      "SELECT rowid " + orders + "expires < 5 ORDER BY expires LIMIT 5"};
  for (const std::string& look : looks) {
    const std::string plan = "EXPLAIN QUERY PLAN " + look;
    sqlite::Query query = connection->query(plan);
    while (*query.next()) {
      EXPECT_THAT(query.text(3), AllOf(Not(HasSubstr("SCAN")), Not(HasSubstr("TEMP B-TREE"))))
          << look;
    }
  }
}

}  // namespace
}  // namespace latchkey
