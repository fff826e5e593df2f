// What the store knows of a certificate's renewal: plans, what is due, visits, lists.
#include "cache/sqlite_renewals.h"

#include "cache/sqlite.h"
#include "tests/cache/store_fixture.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class SqliteRenewalsTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  static RenewalPlan at(WallTime time) {
    RenewalPlan plan;
    plan.renew_at = plan.look_at = time;
    return plan;
  }
  static CertificateOrigin planned(WallTime time) {
    CertificateOrigin origin("ca");
    origin.plan = at(time);
    return origin;
  }
  // A certificate that is due then.
  void put_due(std::string_view text, WallTime time) {
    done(store->put_certificate(name(text), ca().issue({std::string(text)}), planned(time)));
  }
  DueCertificates due(WallTime time, size_t limit = 100) {
    return *run(store->find_due(time, limit));
  }
  std::vector<std::string> due_names(WallTime time, size_t limit = 100) {
    return names_of(due(time, limit).due);
  }
  static std::vector<std::string> names_of(const std::vector<CertificateInfo>& infos) {
    std::vector<std::string> names;
    names.reserve(infos.size());
    for (const CertificateInfo& info : infos) names.push_back(info.name.text());
    return names;
  }
  std::vector<std::string> listed(const CertificateQuery& query) {
    return names_of(*run(store->list_certificates(query)));
  }

  const WallTime now = TestCa::now();
};

TEST_F(SqliteRenewalsTest, WhatIsKeptOfACertificateIsFoundWithIt) {
  const auto made = ca().issue({"a.test"}, now - hours(1), now + hours(24 * 90));
  CertificateOrigin origin("letsencrypt");
  origin.account = "https://ca.test/account/1";
  origin.plan = RenewalPlan{.renew_at = now + hours(10),
                            .look_at = now + hours(6),
                            .window = RenewalWindow{now + hours(8), now + hours(12)},
                            .poll_at = now + hours(6),
                            .denied_since = now - hours(3)};
  done(store->put_certificate(name("a.test"), made, origin));
  restart();
  const auto info = look("a.test").info;
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->name, name("a.test"));
  EXPECT_EQ(info->issuer, "letsencrypt");
  EXPECT_EQ(info->account, "https://ca.test/account/1");
  EXPECT_EQ(info->key_type, "p256");
  EXPECT_EQ(info->serial, made->serial());
  EXPECT_EQ(info->not_before, made->not_before());
  EXPECT_EQ(info->end, made->not_after());
  EXPECT_GE(info->last_used, now);
  EXPECT_EQ(info->plan, *origin.plan);
  EXPECT_FALSE(look("b.test").info.has_value());
}

TEST_F(SqliteRenewalsTest, WithoutAPlanItIsRenewedByItsLife) {
  put("long.test", ca().issue({"long.test"}, now, now + hours(24 * 90)));
  put("short.test", ca().issue({"short.test"}, now, now + hours(24 * 6)));
  EXPECT_EQ(look("long.test").info->plan, at(now + hours(24 * 60)));
  EXPECT_EQ(look("short.test").info->plan, at(now + hours(24 * 3)));
}

TEST_F(SqliteRenewalsTest, TheSmallestEndOfTheChainCounts) {
  // The intermediate ends in less than five years.
  const auto made = ca().issue({"a.test"}, now, now + hours(24 * 3000));
  put("a.test", made);
  EXPECT_EQ(look("a.test").info->end, made->chain_not_after());
  EXPECT_LT(made->chain_not_after(), made->not_after());
}

TEST_F(SqliteRenewalsTest, WhatIsDueComesTheOldestFirstAndThenTheNextTime) {
  put_due("b.test", now - hours(1));
  put_due("a.test", now - hours(2));
  put_due("later.test", now + hours(5));
  put_due("now.test", now);
  EXPECT_THAT(due_names(now), ElementsAre("a.test", "b.test", "now.test"));
  EXPECT_EQ(due(now).next, now + hours(5));
  EXPECT_THAT(due_names(now, 2), ElementsAre("a.test", "b.test"));
  EXPECT_EQ(due(now, 2).next, now) << "of those that were left out";
  EXPECT_THAT(due_names(now - hours(3)), IsEmpty());
  EXPECT_EQ(due(now - hours(3)).next, now - hours(2));
  EXPECT_THAT(due_names(now, 0), IsEmpty());
}

TEST_F(SqliteRenewalsTest, OfNothingNothingIsDue) {
  EXPECT_THAT(due_names(now), IsEmpty());
  EXPECT_EQ(due(now).next, RenewalPlan::kNever);
}

TEST_F(SqliteRenewalsTest, APlanIsReplacedByTheRowsNumber) {
  put_due("a.test", now - hours(2));
  put_due("b.test", now - hours(1));
  const CertificateInfo old = *look("a.test").info;
  RenewalPlan plan = at(now + hours(1));
  plan.window = RenewalWindow{now, now + hours(2)};
  done(store->put_plan(old.id, plan));
  EXPECT_THAT(due_names(now), ElementsAre("b.test"));
  EXPECT_EQ(look("a.test").info->plan, plan);
  plan.window.reset();
  plan.renew_at = plan.look_at = plan.poll_at = RenewalPlan::kNever;
  done(store->put_plan(old.id, plan));
  EXPECT_EQ(look("a.test").info->plan, plan);

  // A plan for one that was replaced meanwhile goes nowhere.
  put_due("a.test", now - hours(3));
  done(store->put_plan(old.id, at(now + hours(7))));
  EXPECT_THAT(due_names(now), ElementsAre("a.test", "b.test"));
  EXPECT_NE(look("a.test").info->id, old.id);
}

TEST_F(SqliteRenewalsTest, AVisitIsNotedAndWakesWhatWasLeftAlone) {
  put("a.test", ca().issue({"a.test"}));
  put("b.test", ca().issue({"b.test"}));
  const CertificateInfo old = *look("a.test").info;
  RenewalPlan left = old.plan;
  left.look_at = RenewalPlan::kNever;
  done(store->put_plan(old.id, left));
  const WallTime later = now + hours(100);
  done(store->note_uses({{name("a.test")}, {name("b.test")}, {name("gone.test")}}, later));
  EXPECT_EQ(look("a.test").info->last_used, later);
  EXPECT_EQ(look("a.test").info->plan.look_at, later);
  EXPECT_EQ(look("a.test").info->plan.renew_at, left.renew_at);
  EXPECT_EQ(look("b.test").info->last_used, later);
  EXPECT_NE(look("b.test").info->plan.look_at, later) << "that one was to be looked at anyway";
}

TEST_F(SqliteRenewalsTest, AVisitBelongsToTheCertificateThatServesTheName) {
  put("w.test", ca().issue({"w.test", "*.w.test"}));
  put("own.w.test", ca().issue({"own.w.test"}));
  done(store->note_uses({{name("x.w.test")}}, now + hours(1)));
  EXPECT_EQ(look("w.test").info->last_used, now + hours(1));
  EXPECT_EQ(look("x.w.test").info->name, name("w.test")) << "found by the wildcard";
  done(store->note_uses({{name("own.w.test")}}, now + hours(2)));
  EXPECT_EQ(look("own.w.test").info->last_used, now + hours(2));
  EXPECT_EQ(look("w.test").info->last_used, now + hours(1));
}

TEST_F(SqliteRenewalsTest, AVisitBelongsToTheWildcardWhereTheNamesOwnHasExpired) {
  const WallTime today = TestCa::now();
  put("w.test", ca().issue({"w.test", "*.w.test"}));
  put("own.w.test", ca().issue({"own.w.test"}, today - hours(9), today - hours(1)));
  done(store->note_uses({{name("own.w.test")}}, today + hours(1)));
  EXPECT_EQ(look("w.test").info->last_used, today + hours(1));
}

TEST_F(SqliteRenewalsTest, ManyVisitsAreNotedInPieces) {
  std::vector<SlotName> names;
  names.reserve(1700);
  for (int i = 0; i < 1700; ++i) names.push_back({name("n" + std::to_string(i) + ".test")});
  put("n0.test", ca().issue({"n0.test"}));
  put("n1699.test", ca().issue({"n1699.test"}));
  done(store->note_uses(names, now + hours(1)));
  EXPECT_EQ(look("n0.test").info->last_used, now + hours(1));
  EXPECT_EQ(look("n1699.test").info->last_used, now + hours(1));
}

TEST_F(SqliteRenewalsTest, ARenewalThatNobodyVisitedKeepsTheLastVisit) {
  put("a.test", ca().issue({"a.test"}));
  const WallTime seen = now - hours(500);
  done(store->note_uses({{name("a.test")}}, seen));
  CertificateOrigin unseen("ca");
  unseen.visited = false;
  done(store->put_certificate(name("a.test"), ca().issue({"a.test"}), unseen));
  EXPECT_EQ(look("a.test").info->last_used, seen);
  done(store->put_certificate(name("new.test"), ca().issue({"new.test"}), unseen));
  EXPECT_GE(look("new.test").info->last_used, now) << "there was none: it counts from now";
  put("a.test", ca().issue({"a.test"}));
  EXPECT_GE(look("a.test").info->last_used, now);
}

// Imported certificates have several names, and are renewed as one-name certificates.
TEST_F(SqliteRenewalsTest, OfSeveralNamesThoseThatAreLeftAreRenewed) {
  done(store->put_certificate(name("a.test"), ca().issue({"a.test", "b.test", "*.w.test"}),
                              planned(now - hours(1))));
  EXPECT_THAT(due_names(now), ElementsAre("a.test"));
  put("a.test", ca().issue({"a.test"}));
  EXPECT_THAT(due_names(now), ElementsAre("b.test"));
  put("b.test", ca().issue({"b.test"}));
  EXPECT_THAT(due_names(now), IsEmpty()) << "nobody knows for which name";
  EXPECT_NE(find("x.w.test"), nullptr) << "it is served to its end";
}

TEST_F(SqliteRenewalsTest, TheListIsByNameInPages) {
  for (const char* one : {"c.test", "a.test", "b.shop.test", "d.shop.test"}) {
    put(one, ca().issue({one}, now, now + hours(24 * 80)));
  }
  put("w.test", ca().issue({"w.test", "*.w.test", "also.test"}, now, now + hours(24 * 20)));
  EXPECT_THAT(listed({}), ElementsAre("a.test", "b.shop.test", "c.test", "d.shop.test", "w.test"));
  EXPECT_THAT(listed({.limit = 2}), ElementsAre("a.test", "b.shop.test"));
  EXPECT_THAT(listed({.after = "b.shop.test", .limit = 2}), ElementsAre("c.test", "d.shop.test"));
  EXPECT_THAT(listed({.contains = "shop"}), ElementsAre("b.shop.test", "d.shop.test"));
  EXPECT_THAT(listed({.contains = "%"}), IsEmpty());
  EXPECT_THAT(listed({.ends_before = now + hours(24 * 30)}), ElementsAre("w.test"));
  EXPECT_THAT(listed({.limit = 0}), IsEmpty());
}

TEST_F(SqliteRenewalsTest, AListGoesThroughAllNamesInBoundedPieces) {
  put("z.test", ca().issue({"z.test"}));
  execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT " +
          std::to_string(2 * sqlite::kListRows + 10) +
          ") INSERT INTO certificate_name SELECT printf('n%06d.test', i), 1 FROM n");
  EXPECT_THAT(listed({.contains = "z"}), ElementsAre("z.test"));
  Task<std::vector<CertificateInfo>> dropped = store->list_certificates({});
  dropped.start();
}

TEST_F(SqliteRenewalsTest, ARowWithANameThatIsNoneIsSetAside) {
  std::vector<std::string> heard;
  store->on_quarantined(
      [&](const std::string& which, const std::string&) { heard.push_back(which); });
  put_due("a.test", now - hours(1));
  put_due("b.test", now - hours(1));
  execute(
      "UPDATE certificate SET name = 'not a name' WHERE name = 'a.test';"
      "UPDATE certificate_name SET name = 'not a name' WHERE name = 'a.test'");
  EXPECT_THAT(due_names(now), ElementsAre("b.test"));
  EXPECT_THAT(heard, ElementsAre("not a name"));
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1);
}

TEST_F(SqliteRenewalsTest, NumbersThatMakeNoSenseAreTimesToReckonWith) {
  put_due("a.test", now - hours(1));
  execute(
      "UPDATE certificate SET not_before = -9223372036854775807, end_at = 9223372036854775806, "
      "last_used = 'yesterday', window_start = 5, window_end = 4, renew_at = x'00', "
      "poll_at = 1e300, denied_since = -1, look_at = -5");
  const auto found = due(now).due;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].not_before, WallTime(seconds(0)));
  EXPECT_LT(found[0].end - found[0].not_before, hours(24 * 366) * 9999);
  EXPECT_FALSE(found[0].plan.window.has_value());
}

TEST_F(SqliteRenewalsTest, ItReadsByIndexOnly) {
  auto connection = sqlite::Connection::open(database);
  const auto plan = [&](const std::string& sql) {
    const std::string whole = "EXPLAIN QUERY PLAN " + sql;
    sqlite::Query query = (*connection)->query(whole);
    std::string steps;
    while (*query.next()) steps += std::string(query.text(3)) + "\n";
    return steps;
  };
  const std::string due_plan = plan("SELECT " + sqlite::info_columns() +
                                    " FROM certificate c WHERE c.look_at IS NOT NULL "
                                    "ORDER BY c.look_at, c.id LIMIT 5");
  EXPECT_THAT(due_plan, HasSubstr("certificate_look_at"));
  EXPECT_THAT(due_plan, Not(HasSubstr("TEMP B-TREE")));
  EXPECT_THAT(due_plan, Not(HasSubstr("SCAN s")));
}

TEST_F(SqliteRenewalsTest, WhoDropsItsTaskLosesNothingElse) {
  put_due("a.test", now - hours(1));
  const int64_t id = look("a.test").info->id;
  {
    Task<DueCertificates> finding = store->find_due(now, 5);
    finding.start();
    Task<> putting = store->put_plan(id, at(now + hours(9)));
    putting.start();
    Task<> noting = store->note_uses({{name("a.test")}}, now + hours(3));
    noting.start();
  }
  done(store->self_test());
  EXPECT_EQ(look("a.test").info->plan, at(now + hours(9))) << "what was accepted is done";
  EXPECT_EQ(look("a.test").info->last_used, now + hours(3));
}

}  // namespace
}  // namespace latchkey
