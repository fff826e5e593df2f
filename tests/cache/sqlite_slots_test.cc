// Twins and wildcards in the store.
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class SqliteSlotsTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  static CertificatePtr rsa(const TestCa::Names& names, WallTime from = TestCa::now() - hours(1),
                            WallTime to = TestCa::now() + hours(99)) {
    static const PrivateKey key = generate_rsa_key();
    return ca().issue(names, from, to, key);
  }
  static CertificateOrigin origin(Slot slot) {
    CertificateOrigin made("ca");
    made.slot = slot;
    return made;
  }
  void put_twin(std::string_view text, const CertificatePtr& certificate) {
    done(store->put_certificate(name(text), certificate, origin(Slot::kRsa)));
  }
  std::string twin_serial(std::string_view text) {
    const CertificatePtr found = *run(store->find_certificate(name(text), Slot::kRsa));
    return found == nullptr ? "none" : found->serial();
  }
  std::vector<std::string> listed(const CertificateQuery& query) {
    std::vector<std::string> found;
    for (const CertificateInfo& one : *run(store->list_certificates(query))) {
      found.push_back(one.name.text() + (one.slot == Slot::kRsa ? " rsa" : ""));
    }
    return found;
  }
  std::vector<std::string> due_names(WallTime now) {
    std::vector<std::string> found;
    const DueCertificates due = *run(store->find_due(now, 100));
    for (const CertificateInfo& one : due.due) {
      found.push_back(one.name.text() + (one.slot == Slot::kRsa ? " rsa" : ""));
    }
    return found;
  }
  static PendingOrder order(std::string_view text, Slot slot) {
    return {.name = name(text),
            .issuer = "ca",
            .directory = "d",
            .account = "a",
            .url = slot == Slot::kRsa ? "https://ca.test/twin" : "https://ca.test/main",
            .key_der = "a key",
            .made = TestCa::now(),
            .slot = slot};
  }
};

TEST_F(SqliteSlotsTest, TwoSlotsOfANameShareNothingButTheName) {
  const auto main = ca().issue({"a.test"});
  const auto twin = rsa({"a.test"});
  put("a.test", main);
  EXPECT_EQ(twin_serial("a.test"), "none") << "never an ECDSA key";
  put_twin("a.test", twin);
  restart();
  EXPECT_EQ(found_serial("a.test"), main->serial());
  EXPECT_EQ(twin_serial("a.test"), twin->serial());
  const NameRecord record = *run(store->find_name(name("a.test"), Slot::kRsa));
  EXPECT_EQ(record.info->slot, Slot::kRsa);
  EXPECT_EQ(record.info->key_type, "rsa2048");
  EXPECT_EQ(look("a.test").info->slot, Slot::kMain);

  const auto fresh = ca().issue({"a.test"});
  put("a.test", fresh);
  EXPECT_EQ(twin_serial("a.test"), twin->serial()) << "a renewal of the one is none of the other";
  EXPECT_EQ(*run(store->count_certificates()), 2u);
  done(store->delete_certificate(name("a.test")));
  EXPECT_EQ(*run(store->count_certificates()), 0u);
}

TEST_F(SqliteSlotsTest, ATwinAloneServesNobodyElse) {
  put_twin("a.test", rsa({"a.test"}));
  EXPECT_EQ(found_serial("a.test"), "none");
  EXPECT_FALSE(look("a.test").info.has_value());
}

TEST_F(SqliteSlotsTest, AMainWithAnRsaKeyIsItsOwnTwin) {
  const auto main = rsa({"a.test"});
  put("a.test", main);
  EXPECT_EQ(twin_serial("a.test"), main->serial());
  EXPECT_EQ(run(store->find_name(name("a.test"), Slot::kRsa))->info->slot, Slot::kMain);
  const auto twin = rsa({"a.test"});
  put_twin("a.test", twin);
  EXPECT_EQ(twin_serial("a.test"), twin->serial());
}

TEST_F(SqliteSlotsTest, ATwinWithoutAnRsaKeyIsRefused) {
  const auto put =
      run(store->put_certificate(name("a.test"), ca().issue({"a.test"}), origin(Slot::kRsa)));
  ASSERT_FALSE(put.has_value());
  EXPECT_THAT(put.error().message, testing::HasSubstr("a.test"));
  EXPECT_EQ(*run(store->count_certificates()), 0u);
}

TEST_F(SqliteSlotsTest, AGoodTwinOfTheWildcardGoesBeforeAnExpiredOne) {
  const WallTime now = TestCa::now();
  const auto wild = rsa({"*.w.test"});
  put_twin("a.w.test", rsa({"a.w.test"}, now - hours(9), now - hours(1)));
  put_twin("*.w.test", wild);
  EXPECT_EQ(twin_serial("a.w.test"), wild->serial());
  EXPECT_EQ(found_serial("a.w.test"), "none");
}

TEST_F(SqliteSlotsTest, OrdersAreBySlot) {
  done(store->put_order(order("a.test", Slot::kMain)));
  done(store->put_order(order("a.test", Slot::kRsa)));
  EXPECT_EQ(run(store->load_orders(9))->size(), 2u);
  EXPECT_EQ(look("a.test").order->url, "https://ca.test/main");
  const NameRecord twin = *run(store->find_name(name("a.test"), Slot::kRsa));
  EXPECT_EQ(twin.order->url, "https://ca.test/twin");
  EXPECT_EQ(twin.order->slot, Slot::kRsa);

  put("a.test", ca().issue({"a.test"}));
  EXPECT_FALSE(look("a.test").order.has_value()) << "the certificate ends its order";
  EXPECT_TRUE(run(store->find_name(name("a.test"), Slot::kRsa))->order.has_value());
  done(store->put_order(order("a.test", Slot::kMain)));
  done(store->delete_order(name("a.test"), Slot::kRsa));
  EXPECT_EQ((*run(store->load_orders(9)))[0].slot, Slot::kMain);
  done(store->put_order(order("a.test", Slot::kRsa)));
  done(store->delete_name(name("a.test")));
  EXPECT_THAT(*run(store->load_orders(9)), IsEmpty());
}

TEST_F(SqliteSlotsTest, ABadOrderOfOneSlotLeavesTheOtherAlone) {
  done(store->put_order(order("a.test", Slot::kMain)));
  done(store->put_order(order("a.test", Slot::kRsa)));
  execute("UPDATE order_state SET sealed_key = x'00' WHERE slot = 1");
  EXPECT_EQ(run(store->load_orders(9))->size(), 1u);
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1);
  EXPECT_EQ(look("a.test").order->url, "https://ca.test/main");
}

TEST_F(SqliteSlotsTest, UsesAreNotedOfTheSlotThatServed) {
  const WallTime now = TestCa::now();
  put("a.test", ca().issue({"a.test"}));
  put_twin("a.test", rsa({"a.test"}));
  const std::vector<SlotName> twin{{name("a.test"), Slot::kRsa}};
  done(store->note_uses(twin, now + hours(5)));
  EXPECT_LT(look("a.test").info->last_used, now + hours(5));
  EXPECT_EQ(run(store->find_name(name("a.test"), Slot::kRsa))->info->last_used, now + hours(5));
  put("b.test", rsa({"b.test"}));
  const std::vector<SlotName> main{{name("b.test"), Slot::kRsa}};
  done(store->note_uses(main, now + hours(5)));
  EXPECT_EQ(look("b.test").info->last_used, now + hours(5)) << "it is its own twin";
}

TEST_F(SqliteSlotsTest, AListShowsBothAndNeverCutsThemApart) {
  for (const char* one : {"a.test", "b.test"}) {
    put(one, ca().issue({one}));
    put_twin(one, rsa({one}));
  }
  put("*.w.test", ca().issue({"*.w.test"}));
  EXPECT_THAT(listed({}), ElementsAre("*.w.test", "a.test", "a.test rsa", "b.test", "b.test rsa"));
  EXPECT_THAT(listed({.limit = 1}), ElementsAre("*.w.test"));
  EXPECT_THAT(listed({.after = "*.w.test", .limit = 1}), ElementsAre("a.test", "a.test rsa"));
  EXPECT_THAT(listed({.after = "a.test", .limit = 1}), ElementsAre("b.test", "b.test rsa"));
  EXPECT_THAT(listed({.after = "b.test", .limit = 1}), IsEmpty());
}

TEST_F(SqliteSlotsTest, AWildcardIsFiledUnderItsOwnNameAndRenewed) {
  const auto wild = ca().issue({"*.w.test"});
  put("*.w.test", wild);
  restart();
  EXPECT_EQ(found_serial("a.w.test"), wild->serial());
  EXPECT_EQ(found_serial("*.w.test"), wild->serial());
  EXPECT_EQ(found_serial("w.test"), "none");
  EXPECT_EQ(look("a.w.test").info->name, name("*.w.test"));
  EXPECT_THAT(due_names(WallTime::max() - hours(1)), ElementsAre("*.w.test"));
  const std::vector<SlotName> used{{name("x.w.test")}};
  done(store->note_uses(used, TestCa::now() + hours(7)));
  EXPECT_EQ(look("*.w.test").info->last_used, TestCa::now() + hours(7));

  done(store->put_order(order("*.w.test", Slot::kMain)));
  EXPECT_EQ((*run(store->load_orders(1)))[0].name, name("*.w.test"));
  EXPECT_TRUE(look("*.w.test").order.has_value());
  EXPECT_FALSE(look("a.w.test").order.has_value());
}

TEST_F(SqliteSlotsTest, WhatIsFiledUnderAWildcardIsRenewedAlsoWhenOnlyWildcardsLeadToIt) {
  const auto both = ca().issue({"*.w.test", "w.test"});
  put("*.w.test", both);
  put("w.test", ca().issue({"w.test"}));
  EXPECT_THAT(due_names(WallTime::max() - hours(1)), UnorderedElementsAre("*.w.test", "w.test"));

  // The same of one that was filed under the host's name: nobody knows for which name.
  put("v.test", ca().issue({"*.v.test", "v.test"}));
  put("v.test", ca().issue({"v.test"}));
  EXPECT_THAT(due_names(WallTime::max() - hours(1)),
              UnorderedElementsAre("*.w.test", "w.test", "v.test"));
  EXPECT_NE(find("x.v.test"), nullptr);
}

TEST_F(SqliteSlotsTest, WhoseWildcardWasTakenGoesUnderAnotherOfItsNames) {
  put("*.w.test", ca().issue({"*.w.test", "*.v.test"}));
  put("*.w.test", ca().issue({"*.w.test"}));
  EXPECT_THAT(listed({}), ElementsAre("*.v.test", "*.w.test"));
  EXPECT_THAT(due_names(WallTime::max() - hours(1)), UnorderedElementsAre("*.v.test", "*.w.test"));
}

TEST_F(SqliteSlotsTest, ARowGoesWithAllOfItsNamesAndItsKey) {
  put("a.test", ca().issue({"a.test", "b.test", "*.w.test"}));
  put_twin("a.test", rsa({"a.test"}));
  const int64_t id = look("b.test").info->id;
  EXPECT_THAT(*run(store->delete_certificate_row(id)),
              UnorderedElementsAre("a.test", "b.test", "*.w.test"));
  EXPECT_EQ(found_serial("b.test"), "none");
  EXPECT_NE(twin_serial("a.test"), "none");
  EXPECT_EQ(number("SELECT count(*) FROM certificate"), 1);
  EXPECT_THAT(*run(store->delete_certificate_row(id)), IsEmpty());
}

TEST_F(SqliteSlotsTest, TheirKeysAreResealedToo) {
  put("a.test", ca().issue({"a.test"}));
  put_twin("a.test", rsa({"a.test"}));
  done(store->put_order(order("a.test", Slot::kMain)));
  done(store->put_order(order("a.test", Slot::kRsa)));
  done(store->put_order(order("b.test", Slot::kRsa)));
  store.reset();
  const std::string older = test::read_text(key_file);
  {
    std::filesystem::remove(key_file);
    ASSERT_TRUE(SecretBox::make(key_file, log).has_value());
    const std::string newest = test::read_text(key_file);
    std::filesystem::remove(key_file);
    const int fd = ::open(key_file.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(::write(fd, newest.data(), newest.size()), static_cast<ssize_t>(newest.size()));
    ASSERT_EQ(::write(fd, older.data(), older.size()), static_cast<ssize_t>(older.size()));
    ::close(fd);
  }
  open();
  while (!*run(store->reseal())) {
  }
  EXPECT_EQ(number("SELECT count(DISTINCT substr(sealed_key, 2, 4)) FROM "
                   "(SELECT sealed_key FROM order_state UNION SELECT sealed_key FROM certificate)"),
            1);
  EXPECT_EQ(run(store->load_orders(9))->size(), 3u);
  EXPECT_NE(twin_serial("a.test"), "none");
}

}  // namespace
}  // namespace latchkey
