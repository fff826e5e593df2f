// Orders under way, and what was added to accounts.
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const WallTime kNow = WallTime(seconds(1'790'000'000));

class SqliteOrdersTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  static PendingOrder order(std::string_view text, WallTime made = kNow) {
    return {.name = name(text),
            .issuer = "letsencrypt",
            .directory = "https://ca.test/dir",
            .account = "https://ca.test/account/1",
            .url = "https://ca.test/order/7",
            .key_der = "a secret of nobody's business",
            .profile = "shortlived",
            .made = made,
            .renewal = true};
  }
  std::vector<std::string> loaded(size_t limit = 100) {
    std::vector<std::string> names;
    for (const PendingOrder& one : *run(store->load_orders(limit))) {
      names.push_back(one.name.text());
    }
    return names;
  }
};

TEST_F(SqliteOrdersTest, AnOrderIsKeptWholeOverARestartAndReplaced) {
  EXPECT_FALSE(look("a.test").order.has_value());
  PendingOrder first = order("a.test");
  first.url = "https://ca.test/order/1";
  done(store->put_order(first));
  done(store->put_order(order("a.test")));
  restart();
  const auto found = look("a.test").order;
  ASSERT_TRUE(found.has_value());
  const PendingOrder expected = order("a.test");
  EXPECT_EQ(found->name, expected.name);
  EXPECT_EQ(found->issuer, expected.issuer);
  EXPECT_EQ(found->directory, expected.directory);
  EXPECT_EQ(found->account, expected.account);
  EXPECT_EQ(found->url, expected.url);
  EXPECT_EQ(found->key_der, expected.key_der);
  EXPECT_EQ(found->profile, expected.profile);
  EXPECT_EQ(found->made, expected.made);
  EXPECT_EQ(found->renewal, expected.renewal);
  EXPECT_THAT(loaded(), ElementsAre("a.test"));
  done(store->delete_order(name("a.test")));
  done(store->delete_order(name("a.test")));
  EXPECT_FALSE(look("a.test").order.has_value());
}

TEST_F(SqliteOrdersTest, TheirKeysAreNotReadableInTheFiles) {
  const PrivateKey key = generate_p256_key();
  PendingOrder one = order("a.test");
  one.key_der = private_key_to_der(key);
  done(store->put_order(one));
  const test::StoreFile file(database);
  EXPECT_TRUE(file.contains(one.url));
  EXPECT_FALSE(file.contains(one.key_der));
  EXPECT_FALSE(file.contains(one.key_der.substr(36, 32))) << "the private number";
  store.reset();
  EXPECT_FALSE(file.contains(one.key_der.substr(36, 32)));
}

TEST_F(SqliteOrdersTest, TheOldestIsLoadedFirst) {
  done(store->put_order(order("b.test", kNow - hours(1))));
  done(store->put_order(order("a.test", kNow)));
  done(store->put_order(order("c.test", kNow - hours(2))));
  EXPECT_THAT(loaded(), ElementsAre("c.test", "b.test", "a.test"));
  EXPECT_THAT(loaded(2), ElementsAre("c.test", "b.test"));
  EXPECT_THAT(loaded(0), IsEmpty());
}

TEST_F(SqliteOrdersTest, AnAddressMayBeOrdered) {
  const ServerName address = *ServerName::parse_ip("2001:db8::7");
  PendingOrder one = order("a.test");
  one.name = address;
  done(store->put_order(one));
  EXPECT_THAT(loaded(), ElementsAre("2001:db8::7"));
  EXPECT_TRUE(run(store->find_name(address))->order.has_value());
}

TEST_F(SqliteOrdersTest, ACertificateEndsTheNamesOrderInTheSameTransaction) {
  done(store->put_order(order("a.test")));
  done(store->put_order(order("b.test")));
  execute("CREATE TRIGGER t BEFORE DELETE ON order_state BEGIN SELECT raise(ABORT, 'no'); END");
  EXPECT_FALSE(run(store->put_certificate(name("a.test"), ca().issue({"a.test"}), "ca")));
  EXPECT_EQ(find("a.test"), nullptr) << "neither is done";
  execute("DROP TRIGGER t");
  put("a.test", ca().issue({"a.test"}));
  EXPECT_THAT(loaded(), ElementsAre("b.test"));
}

TEST_F(SqliteOrdersTest, ANamesOrderGoesWithTheName) {
  done(store->put_order(order("a.test")));
  done(store->put_order(order("b.test")));
  done(store->delete_name(name("a.test")));
  EXPECT_THAT(loaded(), ElementsAre("b.test"));
}

TEST_F(SqliteOrdersTest, ADamagedOrderIsSetAsideAndTheRestIsServed) {
  put("a.test", ca().issue({"a.test"}));
  for (const char* damage :
       {"sealed_key = x'00'", "sealed_key = substr(sealed_key, 1, 40)", "url = url || 'x'",
        "sealed_key = 17", "url = x'ff'", "account = x'ff', sealed_key = ''"}) {
    done(store->put_order(order("a.test")));
    done(store->put_order(order("b.test", kNow + hours(1))));
    execute("UPDATE order_state SET " + std::string(damage) + " WHERE name = 'a.test'");
    const NameRecord found = look("a.test");
    EXPECT_FALSE(found.order.has_value()) << damage;
    EXPECT_NE(found.certificate, nullptr);
    EXPECT_EQ(number("SELECT count(*) FROM order_state"), 1) << damage;
    EXPECT_THAT(loaded(), ElementsAre("b.test"));
  }
  EXPECT_THAT(logged(), HasSubstr("store_order_quarantined"));
  EXPECT_EQ(number("SELECT count(*) FROM quarantine WHERE cause LIKE 'a pending order%'"), 6);

  // By the list of all, too; and under a name that is none.
  execute("UPDATE order_state SET name = 'no name'");
  done(store->put_order(order("c.test")));
  EXPECT_THAT(loaded(), ElementsAre("c.test"));
  EXPECT_EQ(number("SELECT count(*) FROM order_state"), 1);
}

TEST_F(SqliteOrdersTest, ASealedKeyOfAnotherOrderDoesNotOpen) {
  done(store->put_order(order("a.test")));
  PendingOrder other = order("b.test");
  other.key_der = "another";
  done(store->put_order(other));
  execute(
      "UPDATE order_state SET sealed_key = "
      "(SELECT sealed_key FROM order_state WHERE name = 'b.test') WHERE name = 'a.test'");
  EXPECT_THAT(loaded(), ElementsAre("b.test"));
}

TEST_F(SqliteOrdersTest, AnOrderWhoseKeyIsMissingWaitsForIt) {
  done(store->put_order(order("a.test")));
  store.reset();
  const std::string before = test::read_text(key_file);
  const std::string added = "latchkey-key-1 0badcafe " + std::string(64, '7') + "\n";
  test::write_text(key_file, added + before);
  restart();  // the key check is sealed with the newer one
  store.reset();
  test::write_text(key_file, added);
  restart();
  EXPECT_FALSE(look("a.test").order.has_value());
  EXPECT_THAT(loaded(), IsEmpty());
  EXPECT_THAT(logged(), HasSubstr("store_order_key_missing"));
  test::write_text(key_file, added + before);
  restart();
  EXPECT_THAT(loaded(), ElementsAre("a.test"));
}

TEST_F(SqliteOrdersTest, WhatATaskAcceptedIsDoneWhenItIsDropped) {
  done(store->put_order(order("b.test")));
  {
    Task<> putting = store->put_order(order("a.test"));
    putting.start();
    Task<> deleting = store->delete_order(name("b.test"));
    deleting.start();
    Task<std::vector<PendingOrder>> loading = store->load_orders(5);
    loading.start();
  }
  done(store->self_test());
  EXPECT_THAT(loaded(), ElementsAre("a.test"));
}

TEST_F(SqliteOrdersTest, AnAccountIsKeptWhole) {
  AccountRecord account{"https://ca.test/dir",
                        "https://ca.test/account/1",
                        "the first key",
                        "the second key",
                        "kid-7",
                        true};
  done(store->put_account(account));
  restart();
  auto found = *run(store->find_account(account.directory));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->url, account.url);
  EXPECT_EQ(found->key_der, "the first key");
  EXPECT_EQ(found->next_key_der, "the second key");
  EXPECT_EQ(found->eab_kid, "kid-7");
  EXPECT_TRUE(found->deactivated);
  const test::StoreFile file(database);
  EXPECT_FALSE(file.contains("the first key") || file.contains("the second key"));

  account.key_der = "the second key";
  account.next_key_der = account.eab_kid = "";
  account.deactivated = false;
  done(store->put_account(account));
  found = *run(store->find_account(account.directory));
  EXPECT_EQ(found->key_der, "the second key");
  EXPECT_EQ(found->next_key_der + found->eab_kid, "");
  EXPECT_FALSE(found->deactivated);
}

TEST_F(SqliteOrdersTest, ADamagedAccountKeyIsToldFromTroubleOfTheStore) {
  done(store->put_account({"d", "u", "key"}));
  execute("UPDATE account SET sealed_key = substr(sealed_key, 1, length(sealed_key) - 1)");
  const auto found = run(store->find_account("d"));
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(found.error().message, HasSubstr("account reactivate"));
}

TEST_F(SqliteOrdersTest, ADamagedNextAccountKeyCountsAsNone) {
  done(store->put_account({"d", "u", "first", "second"}));
  execute("UPDATE account SET next_sealed_key = sealed_key");  // moved
  const auto found = *run(store->find_account("d"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->key_der, "first");
  EXPECT_EQ(found->next_key_der, "");
  EXPECT_THAT(logged(), HasSubstr("store_next_account_key_unreadable"));
}

}  // namespace
}  // namespace latchkey
