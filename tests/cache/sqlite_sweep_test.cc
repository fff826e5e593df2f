#include "cache/sqlite_sweep.h"

#include <gmock/gmock.h>

#include <string>

#include "cache/sqlite_schema.h"
#include "tests/cache/store_fixture.h"

namespace latchkey::sqlite {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;

const WallTime kNow = WallTime(seconds(1'790'000'000));
constexpr hours kMonth{30 * 24};

class SweepTest : public StoreFixture {
 protected:
  void SetUp() override {
    auto opened = Connection::open(folder / "db");
    ASSERT_TRUE(opened.has_value());
    db = *std::move(opened);
    ASSERT_TRUE(migrate(*db, migrations()).has_value());
    execute(
        "INSERT INTO chain VALUES (1, x'00', x''); "
        "INSERT INTO certificate (id, name, key_type, generation, issuer, not_before, "
        "not_after, renew_at, leaf, chain_id, sealed_key) "
        "VALUES (1, 'any', 'p256', 1, 'ca', 0, 0, 0, x'', 1, x'')");
  }
  void execute(const std::string& sql) {
    const auto executed = db->execute(sql);
    ASSERT_TRUE(executed.has_value()) << executed.error().message;
  }
  static std::string at(WallTime time) { return std::to_string(time.time_since_epoch().count()); }
  void add_verdict(const std::string& text, WallTime stale_until) {
    execute("INSERT INTO verdict VALUES ('" + text + "', 0, 0, " + at(stale_until) + ", '')");
  }
  void add_failure(const std::string& text, WallTime next_try) {
    execute("INSERT INTO failure VALUES ('" + text + "', 'dns', '', '', 1, 0, 0, " + at(next_try) +
            ")");
  }
  // `count` verdicts that are useless from kNow on, the earlier the number, the earlier.
  void add_verdicts(int64_t count, const std::string& prefix) {
    execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT " +
            std::to_string(count) + ") INSERT INTO verdict SELECT '" + prefix + "' || i, 0, 0, " +
            at(kNow) + " - 1 - " + std::to_string(count) + " + i, '' FROM n");
  }
  void give_certificates(const std::string& where) {
    execute("INSERT INTO certificate_name SELECT name, 1 FROM verdict WHERE " + where);
  }
  std::vector<std::string> names_in(const std::string& table) {
    std::vector<std::string> found;
    Query query = table == "verdict" ? db->query("SELECT name FROM verdict ORDER BY name")
                                     : db->query("SELECT name FROM failure ORDER BY name");
    while (*query.next()) found.emplace_back(query.text(0));
    return found;
  }
  int64_t count(const char* sql) {
    Query query = db->query(sql);
    return *query.next() ? query.integer(0) : -1;
  }
  int64_t changes() { return count("SELECT total_changes()"); }

  std::unique_ptr<Connection> db;
  SweepPlace place;
};

TEST_F(SweepTest, VerdictsGoWhenTheyAreStaleForGoodAndTheirNameHasNoCertificate) {
  add_verdict("stale", kNow - seconds(1));
  add_verdict("served", kNow - seconds(1));
  add_verdict("just", kNow);
  add_verdict("fresh", kNow + hours(1));
  give_certificates("name = 'served'");
  ASSERT_TRUE(sweep_verdicts(*db, kNow, place).has_value());
  EXPECT_THAT(names_in("verdict"), ElementsAre("fresh", "just", "served"));
}

TEST_F(SweepTest, FailuresGoAMonthBehindTheirNextTry) {
  add_failure("old", kNow - kMonth - seconds(1));
  add_failure("month", kNow - kMonth);
  add_failure("next", kNow + hours(1));
  ASSERT_TRUE(sweep_failures(*db, kNow, place).has_value());
  EXPECT_THAT(names_in("failure"), ElementsAre("month", "next"));
  add_failure("renewed", kNow - kMonth - hours(1));
  execute("INSERT INTO certificate_name VALUES ('renewed', 1)");
  ASSERT_TRUE(sweep_failures(*db, kNow, place).has_value());
  EXPECT_THAT(names_in("failure"), ElementsAre("month", "next", "renewed"));
}

TEST_F(SweepTest, BucketsGoWhenTheyAreFullAndNotHeld) {
  const int64_t now = Millis(kNow.time_since_epoch()).count();
  const auto add = [&](const std::string& key, int64_t full, int64_t held) {
    execute("INSERT INTO bucket VALUES ('i', 'k', '" + key + "', " + std::to_string(full) + ", " +
            std::to_string(held) + ", " + std::to_string(std::max(full, held)) + ")");
  };
  add("full", now, 0);
  add("used", now + 1, 0);
  add("held", 0, now + 1);
  ASSERT_TRUE(sweep_buckets(*db, kNow).has_value());
  EXPECT_EQ(count("SELECT count(*) FROM bucket WHERE key IN ('used', 'held')"), 2);
  EXPECT_EQ(count("SELECT count(*) FROM bucket"), 2);
}

TEST_F(SweepTest, EachSweepIsABoundedPieceAndTheNextGoesOn) {
  add_verdicts(2 * kSweepRows + 100, "n");
  EXPECT_TRUE(*sweep_verdicts(*db, kNow, place));
  EXPECT_EQ(count("SELECT count(*) FROM verdict"), kSweepRows + 100);
  EXPECT_TRUE(*sweep_verdicts(*db, kNow, place));
  EXPECT_FALSE(*sweep_verdicts(*db, kNow, place)) << "that was all";
  EXPECT_EQ(count("SELECT count(*) FROM verdict"), 0);

  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
      "INSERT INTO bucket SELECT 'i', 'k', i, 0, 0, 0 FROM n");
  EXPECT_TRUE(*sweep_buckets(*db, kNow));
  EXPECT_EQ(count("SELECT count(*) FROM bucket"), 5000 - kSweepRows);
  EXPECT_TRUE(*sweep_buckets(*db, kNow));
  EXPECT_FALSE(*sweep_buckets(*db, kNow));
}

TEST_F(SweepTest, RowsThatStayDoNotKeepItFromThoseBehindThem) {
  add_verdicts(2 * kSweepRows, "served");
  give_certificates("1");
  add_verdict("behind", kNow - seconds(1));
  execute("UPDATE verdict SET stale_until = stale_until - 10 WHERE name <> 'behind'");
  const int64_t before = changes();
  ASSERT_TRUE(sweep_verdicts(*db, kNow, place).has_value());
  ASSERT_TRUE(sweep_verdicts(*db, kNow, place).has_value());
  EXPECT_EQ(changes(), before) << "nothing to delete, nothing written";
  ASSERT_TRUE(sweep_verdicts(*db, kNow, place).has_value());
  EXPECT_EQ(count("SELECT count(*) FROM verdict"), 2 * kSweepRows);
  EXPECT_EQ(count("SELECT count(*) FROM verdict WHERE name = 'behind'"), 0);

  // Then it begins anew: a certificate may have gone meanwhile.
  execute("DELETE FROM certificate_name WHERE name = 'served1'");
  ASSERT_TRUE(sweep_verdicts(*db, kNow, place).has_value());
  EXPECT_EQ(count("SELECT count(*) FROM verdict"), 2 * kSweepRows - 1);
}

TEST_F(SweepTest, ItReadsByIndexOnly) {
  const auto plan = [&](const std::string& sql) {
    Query query = db->query(sql);
    std::string steps;
    while (*query.next()) steps += std::string(query.text(3)) + "\n";
    return steps;
  };
  const std::string verdicts = plan(
      "EXPLAIN QUERY PLAN SELECT name, stale_until FROM verdict "
      "WHERE (stale_until, name) > (1, 'a') AND stale_until < 2 ORDER BY stale_until, name LIMIT "
      "3");
  EXPECT_THAT(verdicts, testing::HasSubstr("verdict_stale_until"));
  EXPECT_THAT(verdicts, testing::Not(testing::HasSubstr("TEMP B-TREE")));
  EXPECT_THAT(plan("EXPLAIN QUERY PLAN SELECT * FROM bucket WHERE idle_at_ms > 5"),
              testing::HasSubstr("bucket_idle_at"));
  const std::string certificates = plan(
      "EXPLAIN QUERY PLAN SELECT id, end_at, coalesce(last_used, 0) < 3 FROM certificate "
      "WHERE (end_at, id) > (1, 2) AND end_at < 3 ORDER BY end_at, id LIMIT 4");
  EXPECT_THAT(certificates, testing::HasSubstr("certificate_end_at"));
  EXPECT_THAT(certificates, testing::Not(testing::HasSubstr("TEMP B-TREE")));
  EXPECT_THAT(plan("EXPLAIN QUERY PLAN SELECT id FROM event WHERE keep_until < 1 "
                   "ORDER BY keep_until LIMIT 2"),
              testing::HasSubstr("event_keep_until"));
  EXPECT_THAT(plan("EXPLAIN QUERY PLAN SELECT name FROM order_state WHERE made < 1 "
                   "ORDER BY made, name LIMIT 2"),
              testing::HasSubstr("order_state_made"));
}

class CertificateSweepTest : public SweepTest {
 protected:
  // Expired that long before kNow, and visited that long.
  void add(const std::string& text, hours expired, hours visited) {
    execute(
        "INSERT INTO certificate (name, key_type, generation, issuer, not_before, not_after, "
        "renew_at, leaf, chain_id, sealed_key, end_at, last_used) VALUES ('" +
        text + "', 'p256', 1, 'ca', 0, 0, 0, x'', 1, x'', " + at(kNow - expired) + ", " +
        at(kNow - visited) + ")");
    execute("INSERT INTO certificate_name VALUES ('" + text + "', last_insert_rowid())");
  }
  SweptCertificates sweep() {
    auto swept = sweep_certificates(*db, kNow, kMonth, place);
    EXPECT_TRUE(swept.has_value());
    return *std::move(swept);
  }
};

TEST_F(CertificateSweepTest, WhatExpiredLongAgoAndWasNotVisitedSinceGoesWithItsKey) {
  execute("DELETE FROM certificate");
  add("old", kMonth + hours(1), kMonth + hours(1));
  add("visited", kMonth + hours(1), hours(1));
  add("just", kMonth, 2 * kMonth);
  add("valid", -kMonth, 2 * kMonth);
  execute("INSERT INTO certificate_name SELECT '*.old', id FROM certificate WHERE name = 'old'");
  const SweptCertificates swept = sweep();
  EXPECT_THAT(swept.names, ElementsAre("*.old", "old"));
  EXPECT_FALSE(swept.more);
  EXPECT_EQ(count("SELECT count(*) FROM certificate"), 3);
  EXPECT_EQ(count("SELECT count(*) FROM certificate_name"), 3);
  EXPECT_EQ(count("SELECT count(*) FROM chain"), 1) << "others have it";
  execute("DELETE FROM certificate WHERE name <> 'visited'");
  execute("UPDATE certificate SET last_used = 0");
  EXPECT_THAT(sweep().names, ElementsAre("visited"));
  EXPECT_EQ(count("SELECT count(*) FROM chain"), 0) << "it went with the last";
}

TEST_F(CertificateSweepTest, InPiecesAndBehindThoseThatStay) {
  execute("DELETE FROM certificate");
  for (int64_t i = 0; i < kSweepCertificates; ++i) {
    add("visited" + std::to_string(i), 3 * kMonth, hours(1));
  }
  for (int64_t i = 0; i < kSweepCertificates + 5; ++i) {
    add("old" + std::to_string(i), 2 * kMonth, 2 * kMonth);
  }
  EXPECT_TRUE(sweep().names.empty());
  SweptCertificates swept = sweep();
  EXPECT_EQ(swept.names.size(), static_cast<size_t>(kSweepCertificates));
  EXPECT_TRUE(swept.more);
  swept = sweep();
  EXPECT_EQ(swept.names.size(), 5u);
  EXPECT_FALSE(swept.more);
  EXPECT_EQ(count("SELECT count(*) FROM certificate"), kSweepCertificates);
  EXPECT_TRUE(sweep().more) << "then it begins anew";
}

TEST_F(CertificateSweepTest, TheStoreTellsTheNamesAndNotTooMany) {
  open();
  db = *Connection::open(database);
  execute("INSERT INTO chain VALUES (1, x'00', x'')");
  for (int i = 0; i < 1300; ++i) add("n" + std::to_string(i), 2 * kMonth, 2 * kMonth);
  put("a.test", ca().issue({"a.test"}));
  {
    Task<SweepReport> dropped = store->sweep(kNow, kMonth);
    dropped.start();
  }
  const SweepReport report = *run(store->sweep(kNow, kMonth));
  EXPECT_EQ(count("SELECT count(*) FROM certificate"), 1);
  EXPECT_EQ(report.deleted.size(), 1000u)
      << "of 1300, without the first piece: that was of the sweep that was dropped";
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(SweepTest, EventsAndOrdersGoWhenTheirTimeIsOver) {
  const auto add_event = [&](const std::string& text, WallTime keep_until) {
    execute(
        "INSERT INTO event (at, kind, name, issuer, text, details, keep_until) VALUES "
        "(0, 'k', 'n', '', '" +
        text + "', '', " + at(keep_until) + ")");
  };
  add_event("over", kNow - seconds(1));
  add_event("just", kNow);
  EXPECT_FALSE(*sweep_events(*db, kNow));
  EXPECT_EQ(count("SELECT count(*) FROM event WHERE text = 'just'"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM event"), 1);

  const auto add_order = [&](const std::string& text, int slot, WallTime made) {
    execute("INSERT INTO order_state VALUES ('" + text + "', " + std::to_string(slot) +
            ", '', '', '', '', x'', '', " + at(made) + ", 0)");
  };
  add_order("week", 0, kNow - hours(7 * 24));
  add_order("week", 1, kNow - hours(7 * 24) - seconds(1));
  add_order("old", 0, kNow - hours(7 * 24) - seconds(1));
  EXPECT_FALSE(*sweep_orders(*db, kNow));
  EXPECT_EQ(count("SELECT count(*) FROM order_state WHERE name = 'week'"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM order_state"), 1);

  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) INSERT INTO "
      "event (at, kind, name, issuer, text, details, keep_until) "
      "SELECT 0, '', '', '', '', '', 1 FROM n");
  EXPECT_TRUE(*sweep_events(*db, kNow));
  EXPECT_EQ(count("SELECT count(*) FROM event"), 5001 - kSweepRows);
}

TEST_F(SweepTest, TheStoreSweepsAllThree) {
  open();
  const ServerName one = name("a.test");
  const VerdictRecord verdict{.asked = kNow, .until = kNow, .stale_until = kNow + hours(1)};
  FailureRecord failure;
  failure.next_try = kNow;
  ASSERT_TRUE(run(store->put_verdict(one, verdict)).has_value());
  ASSERT_TRUE(run(store->put_failure(one, failure)).has_value());
  ASSERT_TRUE(run(store->put_buckets({{"i", "k", "", 5, 0}})).has_value());
  ASSERT_TRUE(run(store->sweep(kNow, hours(30 * 24))).has_value());
  NameRecord found = *run(store->find_name(one));
  EXPECT_TRUE(found.verdict.has_value() && found.failure.has_value());
  ASSERT_TRUE(run(store->sweep(kNow + 2 * kMonth, kMonth)).has_value());
  found = *run(store->find_name(one));
  EXPECT_FALSE(found.verdict.has_value() || found.failure.has_value());
  EXPECT_TRUE(run(store->load_buckets(WallTime(seconds(0))))->empty());
}

TEST_F(SweepTest, OneSweepOfTheStoreIsManyPieces) {
  open();
  db = *Connection::open(database);
  add_verdicts(3 * kSweepRows, "n");
  ASSERT_TRUE(run(store->sweep(kNow, hours(30 * 24))).has_value());
  EXPECT_EQ(count("SELECT count(*) FROM verdict"), 0);
}

}  // namespace
}  // namespace latchkey::sqlite
