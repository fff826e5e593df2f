// Many certificates from elsewhere at once.
#include <chrono>

#include "tests/cache/store_fixture.h"
#include "tests/support/ocsp_ca.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;

class SqliteImportTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  static ImportedCertificate entry(std::string_view text, const CertificatePtr& certificate,
                                   Slot slot = Slot::kMain) {
    CertificateOrigin origin("imported");
    origin.slot = slot;
    origin.visited = false;
    return {name(text), certificate, origin};
  }
  // A letter for each: Stored, sAme, Newer, Error.
  std::string import(std::vector<ImportedCertificate> batch) {
    const auto outcomes = run(store->import_certificates(std::move(batch)));
    EXPECT_TRUE(outcomes.has_value()) << outcomes.error().message;
    std::string letters;
    for (const auto& one : *outcomes) {
      if (!one) why = one.error().message;
      letters += !one                             ? 'E'
                 : *one == ImportOutcome::kStored ? 'S'
                 : *one == ImportOutcome::kSame   ? 'A'
                                                  : 'N';
    }
    return letters;
  }
  static CertificatePtr ending(const TestCa::Names& names, hours in) {
    return ca().issue(names, TestCa::now() - hours(1), TestCa::now() + in);
  }

  std::string why;  // of the last error
};

TEST_F(SqliteImportTest, EachIsStoredWithItsPlanAndHeardOf) {
  std::vector<std::string> heard;
  store->on_stored([&](const ServerName& stored, Slot slot, const CertificatePtr&) {
    heard.push_back(stored.text() + (slot == Slot::kRsa ? " rsa" : ""));
  });
  const auto a = ca().issue({"a.test", "b.test"});
  const auto wild = ca().issue({"*.w.test"});
  const auto twin =
      ca().issue({"a.test"}, TestCa::now(), TestCa::now() + hours(9), generate_rsa_key());
  ImportedCertificate planned = entry("a.test", a);
  RenewalPlan plan;
  plan.renew_at = plan.look_at = TestCa::now() + hours(5);
  plan.window = RenewalWindow{TestCa::now() + hours(4), TestCa::now() + hours(6)};
  plan.poll_at = TestCa::now() + hours(1);
  planned.origin.plan = plan;
  planned.origin.account = "https://ca.test/account/1";
  EXPECT_EQ(import({planned, entry("*.w.test", wild), entry("a.test", twin, Slot::kRsa)}), "SSS");
  EXPECT_THAT(heard, ElementsAre("a.test", "*.w.test", "a.test rsa"));
  restart();
  EXPECT_EQ(found_serial("a.test"), a->serial());
  EXPECT_EQ(found_serial("b.test"), a->serial());
  EXPECT_EQ(found_serial("x.w.test"), wild->serial());
  EXPECT_EQ((*run(store->find_certificate(name("a.test"), Slot::kRsa)))->serial(), twin->serial());
  const auto info = look("a.test").info;
  EXPECT_EQ(info->plan, plan);
  EXPECT_EQ(info->issuer, "imported");
  EXPECT_EQ(info->account, "https://ca.test/account/1");
  EXPECT_EQ(private_key_to_der(find("a.test")->key()), private_key_to_der(a->key()));
}

TEST_F(SqliteImportTest, ASecondTimeNothingIsStored) {
  const auto a = ca().issue({"a.test", "b.test"});
  EXPECT_EQ(import({entry("a.test", a)}), "S");
  EXPECT_EQ(import({entry("a.test", a), entry("b.test", a)}), "AA");
  put("c.test", ca().issue({"c.test"}));
  EXPECT_EQ(import({entry("c.test", find("c.test"))}), "A");
  EXPECT_EQ(*run(store->count_certificates()), 2u);
}

TEST_F(SqliteImportTest, WhatEndsLaterStays) {
  const auto newer = ending({"a.test", "b.test"}, hours(99));
  put("a.test", newer);
  EXPECT_EQ(import({entry("a.test", ending({"a.test"}, hours(50)))}), "N");
  EXPECT_EQ(import({entry("a.test", ending({"a.test", "b.test"}, hours(50)))}), "N");
  // One name of it has none yet: that one is taken, the others stay.
  const auto older = ending({"a.test", "c.test"}, hours(50));
  EXPECT_EQ(import({entry("a.test", older)}), "S");
  EXPECT_EQ(found_serial("a.test"), newer->serial());
  EXPECT_EQ(found_serial("c.test"), older->serial());
  EXPECT_EQ(look("c.test").info->name, name("c.test"));
  const auto newest = ending({"a.test"}, hours(200));
  EXPECT_EQ(import({entry("a.test", newest)}), "S");
  EXPECT_EQ(found_serial("a.test"), newest->serial());
  EXPECT_EQ(found_serial("b.test"), newer->serial());
}

TEST_F(SqliteImportTest, TheOtherSlotIsNoneOfItsBusiness) {
  const auto main = ending({"a.test"}, hours(99));
  const auto twin =
      ca().issue({"a.test"}, TestCa::now(), TestCa::now() + hours(9), generate_rsa_key());
  put("a.test", main);
  EXPECT_EQ(import({entry("a.test", twin, Slot::kRsa)}), "S");
  EXPECT_EQ(found_serial("a.test"), main->serial());
}

TEST_F(SqliteImportTest, ABadOneDoesNotStopTheRest) {
  const auto good = ca().issue({"good.test"});
  const auto last = ca().issue({"last.test"});
  EXPECT_EQ(
      import({entry("good.test", good), entry("other.test", ca().issue({"a.test"})),
              entry("twin.test", ca().issue({"twin.test"}), Slot::kRsa), entry("last.test", last)}),
      "SEES");
  EXPECT_THAT(why, HasSubstr("twin.test"));
  EXPECT_EQ(found_serial("good.test"), good->serial());
  EXPECT_EQ(found_serial("last.test"), last->serial());
  EXPECT_EQ(*run(store->count_certificates()), 2u) << "of the bad ones nothing is left";
  EXPECT_EQ(import({}), "");
}

TEST_F(SqliteImportTest, NamesThatAreNoneOfOursAreLeftOut) {
  const auto odd = ca().issue({"a.test", "*", "a.*.test", "ab--c.test", "under_score.test",
                               "x*.test", "*.w.test", "192.0.2.7"});
  EXPECT_EQ(import({entry("a.test", odd)}), "S");
  EXPECT_EQ(number("SELECT count(*) FROM certificate_name"), 4);
  EXPECT_EQ(number("SELECT count(*) FROM certificate_name WHERE name IN "
                   "('a.test', '*.w.test', 'under_score.test', '192.0.2.7')"),
            4);
}

TEST_F(SqliteImportTest, ItsStapleIsLookedAt) {
  const test::OcspCa with_responder;
  const auto made = with_responder.issue({"a.test"}, "http://ocsp.test/");
  EXPECT_EQ(import({entry("a.test", made)}), "S");
  EXPECT_TRUE(run(store->find_staple(made->leaf_hash()))->has_value());
}

TEST_F(SqliteImportTest, ADroppedImportIsDoneAndHeardOf) {
  int heard = 0;
  store->on_stored([&](const ServerName&, Slot, const CertificatePtr&) { ++heard; });
  {
    auto dropped = store->import_certificates(
        {entry("a.test", ca().issue({"a.test"})), entry("b.test", ca().issue({"b.test"}))});
    dropped.start();
  }
  done(store->self_test());
  EXPECT_EQ(heard, 2);
  EXPECT_NE(find("b.test"), nullptr);
}

TEST_F(SqliteImportTest, AListenerMayEndTheStoreInTheMiddleOfABatch) {
  int heard = 0;
  store->on_stored([&](const ServerName&, Slot, const CertificatePtr&) {
    ++heard;
    store.reset();
  });
  auto task = store->import_certificates(
      {entry("a.test", ca().issue({"a.test"})), entry("b.test", ca().issue({"b.test"}))});
  task.start();
  loop.run_until([&] { return heard != 0; });
  uv_run(&loop.uv(), UV_RUN_NOWAIT);
  EXPECT_EQ(heard, 1);
}

TEST_F(SqliteImportTest, ManyAreQuick) {
  constexpr size_t kBatch = 500;
  constexpr size_t kBatches = 10;
  const PrivateKey key = generate_p256_key();
  std::vector<std::vector<ImportedCertificate>> batches(kBatches);
  for (size_t i = 0; i < kBatch * kBatches; ++i) {
    const std::string text = "n" + std::to_string(i) + ".shops.test";
    batches[i / kBatch].push_back(entry(
        text, ca().issue({text, "www." + text}, TestCa::now(), TestCa::now() + hours(99), key)));
  }
  const auto start = std::chrono::steady_clock::now();
  for (auto& batch : batches) {
    EXPECT_EQ(import(std::move(batch)), std::string(kBatch, 'S'));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%zu imported in %.2f s: %.1f s for 100 000\n", kBatch * kBatches, took.count(),
              took.count() * 100'000 / (kBatch * kBatches));
  EXPECT_EQ(*run(store->count_certificates()), kBatch * kBatches);
}

}  // namespace
}  // namespace latchkey
