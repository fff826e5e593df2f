// Staples and published records in the store.
#include "tests/cache/store_fixture.h"
#include "tests/support/ocsp_ca.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SqliteStaplesTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  CertificatePtr issue(std::string_view text) const {
    return ocsp_ca.issue({std::string(text)}, "http://ocsp.test/");
  }
  static StaplePtr staple(std::string der, WallTime until) {
    return std::make_shared<const Staple>(Staple{std::move(der), until - hours(48), until});
  }
  StapleRecord record(const std::string& leaf, WallTime look_at) const {
    return {.leaf = leaf, .name = "a.test", .look_at = look_at, .end = now + hours(99)};
  }
  std::vector<std::string> due(WallTime at, size_t limit = 100) {
    std::vector<std::string> leaves;
    const DueStaples found = *run(store->find_due_staples(at, limit));
    for (const StapleRecord& one : found.due) {
      leaves.push_back(one.leaf);
    }
    return leaves;
  }
  int64_t rows() const { return number("SELECT count(*) FROM staple"); }

  const test::OcspCa ocsp_ca;
  const WallTime now = TestCa::now();
};

TEST_F(SqliteStaplesTest, ARowIsKeptWholeOverARestartAndReplaced) {
  StapleRecord one = record(std::string(32, '\x80'), now + hours(3));
  one.slot = 1;
  one.staple = staple(std::string("\x30\0\xff", 3), now + hours(9));
  done(store->put_staple(record(one.leaf, now)));
  done(store->put_staple(one));
  restart();
  const auto found = *run(store->find_staple(one.leaf));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->leaf, one.leaf);
  EXPECT_EQ(found->name, "a.test");
  EXPECT_EQ(found->slot, 1);
  EXPECT_EQ(found->staple->der, one.staple->der);
  EXPECT_EQ(found->staple->this_update, one.staple->this_update);
  EXPECT_EQ(found->staple->next_update, one.staple->next_update);
  EXPECT_EQ(found->look_at, one.look_at);
  EXPECT_EQ(found->end, one.end);
  EXPECT_EQ(rows(), 1);

  one.staple = nullptr;
  one.look_at = RenewalPlan::kNever;
  done(store->put_staple(one));
  EXPECT_EQ((*run(store->find_staple(one.leaf)))->staple, nullptr);
  EXPECT_EQ((*run(store->find_staple(one.leaf)))->look_at, RenewalPlan::kNever);
  done(store->delete_staple(one.leaf));
  done(store->delete_staple(one.leaf));
  EXPECT_FALSE(run(store->find_staple(one.leaf))->has_value());
}

TEST_F(SqliteStaplesTest, WhatIsDueComesInItsOrderAndSaysWhatComesNext) {
  done(store->put_staple(record("c", now - hours(1))));
  done(store->put_staple(record("a", now - hours(2))));
  done(store->put_staple(record("b", now + hours(1))));
  done(store->put_staple(record("never", RenewalPlan::kNever)));
  EXPECT_THAT(due(now), ElementsAre("a", "c"));
  EXPECT_EQ(run(store->find_due_staples(now, 100))->next, now + hours(1));
  EXPECT_THAT(due(now, 1), ElementsAre("a"));
  EXPECT_EQ(run(store->find_due_staples(now, 1))->next, now - hours(1));
  EXPECT_EQ(run(store->find_due_staples(now + hours(1), 100))->next, RenewalPlan::kNever);
}

TEST_F(SqliteStaplesTest, WhatAClockWroteThatRanAheadIsDue) {
  done(store->put_staple(record("soon", now + hours(1))));
  done(store->put_staple(record("far", now + hours(24 * 365))));
  done(store->put_staple(record("never", RenewalPlan::kNever)));
  done(store->hasten_staples(now + hours(24), now));
  EXPECT_THAT(due(now), ElementsAre("far"));
  EXPECT_EQ(run(store->find_due_staples(now, 100))->next, now + hours(1));
}

TEST_F(SqliteStaplesTest, ACertificateWithAResponderIsToBeLookedAtAtOnce) {
  put("plain.test", ca().issue({"plain.test"}));
  EXPECT_EQ(rows(), 0) << "there is nobody to ask";
  const auto made = issue("a.test");
  put("a.test", made);
  const auto found = *run(store->find_staple(made->leaf_hash()));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->name, "a.test");
  EXPECT_EQ(found->staple, nullptr);
  EXPECT_GE(found->look_at, now);
  EXPECT_LE(found->look_at, TestCa::now());
  EXPECT_EQ(found->end, made->not_after());
  EXPECT_EQ(find("a.test")->staple(), nullptr);
}

TEST_F(SqliteStaplesTest, AStapleThatComesWithTheCertificateIsFoundWithIt) {
  const auto made = issue("a.test")->with_staple(staple("good", now + hours(9)));
  put("a.test", made);
  restart();
  ASSERT_NE(find("a.test")->staple(), nullptr);
  EXPECT_EQ(find("a.test")->staple()->der, "good");
  EXPECT_EQ(look("a.test").certificate->staple()->der, "good");
}

TEST_F(SqliteStaplesTest, OneThatIsOverIsNotFoundWithIt) {
  const auto made = issue("a.test");
  put("a.test", made);
  StapleRecord one = record(made->leaf_hash(), now);
  one.staple = staple("over", now - seconds(1));
  done(store->put_staple(one));
  EXPECT_EQ(find("a.test")->staple(), nullptr);
  one.staple = staple("good", now + hours(1));
  done(store->put_staple(one));
  EXPECT_EQ(find("a.test")->staple()->der, "good");
}

TEST_F(SqliteStaplesTest, StaplesGoWithTheirCertificates) {
  const auto old = issue("a.test");
  put("a.test", old);
  const auto fresh = issue("a.test");
  put("a.test", fresh);
  EXPECT_FALSE(run(store->find_staple(old->leaf_hash()))->has_value());
  EXPECT_TRUE(run(store->find_staple(fresh->leaf_hash()))->has_value());
  done(store->delete_name(name("a.test")));
  EXPECT_EQ(rows(), 0);
  put("b.test", issue("b.test"));
  ASSERT_TRUE(run(store->delete_certificate_row(look("b.test").info->id)).has_value());
  EXPECT_EQ(rows(), 0);
}

TEST_F(SqliteStaplesTest, OfACertificateThatLosesANameTheStapleIsFiledUnderOneThatItKeeps) {
  const auto both = ocsp_ca.issue({"*.a.test", "a.test", "b.test"}, "http://ocsp.test/");
  put("a.test", both);
  put("a.test", issue("a.test"));
  EXPECT_EQ(run(store->find_staple(both->leaf_hash()))->value().name, "*.a.test");
  put("*.a.test", ocsp_ca.issue({"*.a.test"}, "http://ocsp.test/"));
  EXPECT_EQ(run(store->find_staple(both->leaf_hash()))->value().name, "b.test");
  EXPECT_EQ(find("b.test")->serial(), both->serial());
}

TEST_F(SqliteStaplesTest, AnImportedOneIsFiledUnderANameThatItWasTakenFor) {
  const auto later = ca().issue({"a.test"}, now, now + hours(24 * 300));
  put("a.test", later);
  const auto both = ocsp_ca.issue({"a.test", "b.test"}, "http://ocsp.test/");
  std::vector<ImportedCertificate> batch{{name("a.test"), both, CertificateOrigin("imported")}};
  const auto outcomes = run(store->import_certificates(std::move(batch)));
  ASSERT_TRUE(outcomes.has_value());
  ASSERT_EQ(*outcomes->front(), ImportOutcome::kStored);
  EXPECT_EQ(run(store->find_staple(both->leaf_hash()))->value().name, "b.test");
}

TEST_F(SqliteStaplesTest, StaplesOfLeavesThatHaveEndedAreSwept) {
  StapleRecord one = record("old", now);
  one.end = now - seconds(1);
  done(store->put_staple(one));
  done(store->put_staple(record("good", now)));
  ASSERT_TRUE(run(store->sweep(now, hours(1))).has_value());
  EXPECT_THAT(due(now), ElementsAre("good"));
}

TEST_F(SqliteStaplesTest, NumbersThatMakeNoSenseAreTimesToReckonWith) {
  done(store->put_staple(record("a", now)));
  execute(
      "UPDATE staple SET der = 5, this_update = 'x', next_update = 9223372036854775807, slot = 7, "
      "look_at = -3, end_at = x'00'");
  const auto found = *run(store->find_staple("a"));
  EXPECT_EQ(found->slot, 0);
  EXPECT_EQ(found->look_at, WallTime(seconds(0)));
  EXPECT_THAT(due(now), ElementsAre("a"));
}

TEST_F(SqliteStaplesTest, WhatIsDueIsFoundByIndex) {
  auto connection = sqlite::Connection::open(database);
  sqlite::Query query = (*connection)
                            ->query(
                                "EXPLAIN QUERY PLAN SELECT leaf FROM staple WHERE look_at IS "
                                "NOT NULL ORDER BY look_at, leaf LIMIT 5");
  std::string steps;
  while (*query.next()) steps += query.text(3);
  EXPECT_THAT(steps, HasSubstr("staple_look_at"));
}

TEST_F(SqliteStaplesTest, RecordsThatArePublishedAreKeptUntilTheyAreGone) {
  EXPECT_THAT(*run(store->load_dns_proofs(9)), IsEmpty());
  const DnsProof first{
      .domain = "_acme-challenge.a.test", .value = "one", .identifier = "a.test", .made = now};
  DnsProof second = first;
  second.value = "two";
  const int64_t one = *run(store->put_dns_proof(first));
  const int64_t two = *run(store->put_dns_proof(second));
  EXPECT_NE(one, two);
  restart();
  const auto found = *run(store->load_dns_proofs(9));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].id, one);
  EXPECT_EQ(found[0].domain, first.domain);
  EXPECT_EQ(found[0].value, "one");
  EXPECT_EQ(found[0].identifier, "a.test");
  EXPECT_EQ(found[0].made, now);
  EXPECT_EQ(run(store->load_dns_proofs(1))->size(), 1u);
  done(store->delete_dns_proof(one));
  done(store->delete_dns_proof(one));
  EXPECT_EQ((*run(store->load_dns_proofs(9)))[0].id, two);
  done(store->delete_dns_proof(two));
  EXPECT_GT(*run(store->put_dns_proof(first)), two) << "an id is never used twice";
}

}  // namespace
}  // namespace latchkey
