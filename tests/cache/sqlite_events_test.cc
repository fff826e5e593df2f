#include "cache/sqlite_events.h"

#include "tests/cache/store_fixture.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const WallTime kNow = WallTime(seconds(1'790'000'000));

class SqliteEventsTest : public StoreFixture {
 protected:
  void SetUp() override { open(); }

  static Event event(std::string name, std::string text, WallTime at = kNow) {
    return {.at = at,
            .kind = std::string(event_kind::kObtained),
            .name = std::move(name),
            .issuer = "ca",
            .text = std::move(text),
            .details = R"({"serial":"0a"})",
            .keep_until = at + hours(24 * 90)};
  }
  std::vector<std::string> texts(const std::string& of, size_t limit = 100'000) {
    std::vector<std::string> found;
    for (const Event& one : *run(store->find_events(of, limit))) found.push_back(one.text);
    return found;
  }
};

TEST_F(SqliteEventsTest, AnEventIsKeptWholeOverARestart) {
  done(store->put_events({event("a.test", "obtained")}));
  restart();
  const auto found = *run(store->find_events("a.test", 10));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].at, kNow);
  EXPECT_EQ(found[0].kind, "certificate_obtained");
  EXPECT_EQ(found[0].name, "a.test");
  EXPECT_EQ(found[0].issuer, "ca");
  EXPECT_EQ(found[0].text, "obtained");
  EXPECT_EQ(found[0].details, R"({"serial":"0a"})");
  EXPECT_EQ(found[0].keep_until, kNow + hours(24 * 90));
}

TEST_F(SqliteEventsTest, TheNewestComesFirstWhateverTheClockSaid) {
  done(store->put_events({event("a.test", "1"), event("b.test", "2")}));
  done(store->put_events({event("a.test", "3", kNow - hours(24 * 365)), event("", "4")}));
  EXPECT_THAT(texts("a.test"), ElementsAre("3", "1"));
  EXPECT_THAT(texts(""), ElementsAre("4", "3", "2", "1"));
  EXPECT_THAT(texts("", 2), ElementsAre("4", "3"));
  EXPECT_THAT(texts("c.test"), IsEmpty());
  EXPECT_THAT(texts("", 0), IsEmpty());
}

TEST_F(SqliteEventsTest, OfEachNameTheNewestHundredStay) {
  std::vector<Event> many;
  many.reserve(151);
  for (int i = 0; i < 150; ++i) many.push_back(event("a.test", std::to_string(i)));
  many.push_back(event("b.test", "other"));
  done(store->put_events(many));
  EXPECT_EQ(texts("a.test").size(), 100u);
  EXPECT_EQ(texts("a.test").back(), "50");
  done(store->put_events({event("a.test", "one more")}));
  EXPECT_EQ(texts("a.test").size(), 100u);
  EXPECT_EQ(texts("a.test").front(), "one more");
  EXPECT_EQ(texts("a.test").back(), "51");
  EXPECT_THAT(texts("b.test"), ElementsAre("other"));
}

TEST_F(SqliteEventsTest, OfThoseWithoutANameTenThousandStay) {
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10050) "
      "INSERT INTO event (at, kind, name, issuer, text, details, keep_until) "
      "SELECT 1, 'budget_low', '', '', i, '', 2 FROM n");
  done(store->put_events({event("", "newest"), event("a.test", "named")}));
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE name = ''"), 10'000);
  EXPECT_EQ(number("SELECT min(CAST(text AS INTEGER)) FROM event WHERE text <> 'newest' "
                   "AND name = ''"),
            52);
  EXPECT_EQ(texts("").size(), 10'000u) << "never more than that at once";
}

TEST_F(SqliteEventsTest, LongTextsAreCutAndLongDetailsLeftOut) {
  Event one = event("a.test", std::string(10'000, 'x'));
  one.details = "{\"a\":\"" + std::string(5000, 'y') + "\"}";
  done(store->put_events({one}));
  const auto found = *run(store->find_events("a.test", 1));
  EXPECT_EQ(found[0].text.size(), sqlite::kMaxEventText);
  EXPECT_EQ(found[0].details, "");
}

TEST_F(SqliteEventsTest, AllOfThemOrNone) {
  execute(
      "CREATE TRIGGER t BEFORE INSERT ON event WHEN new.text = 'bad' "
      "BEGIN SELECT raise(ABORT, 'no'); END");
  EXPECT_FALSE(run(store->put_events({event("a.test", "good"), event("a.test", "bad")})));
  EXPECT_THAT(texts(""), IsEmpty());
}

TEST_F(SqliteEventsTest, EventsOfANameStayWhenTheNameIsDeleted) {
  put("a.test", ca().issue({"a.test"}));
  done(store->put_events({event("a.test", "forgotten")}));
  done(store->delete_name(name("a.test")));
  EXPECT_THAT(texts("a.test"), ElementsAre("forgotten"));
}

TEST_F(SqliteEventsTest, DamagedRowsAreServedAsFarAsTheyCanBe) {
  done(store->put_events({event("a.test", "1"), event("a.test", "2")}));
  for (const char* damage :
       {"details = '{'", "details = '[1]'", "details = x'ff00'", "kind = x'ff', at = 'never'",
        "text = 17, issuer = 1.5", "keep_until = -9223372036854775807"}) {
    execute("UPDATE event SET " + std::string(damage) + " WHERE id = 2");
    const auto found = *run(store->find_events("a.test", 10));
    ASSERT_EQ(found.size(), 2u) << damage;
    EXPECT_EQ(found[1].text, "1");
    EXPECT_TRUE(found[0].details.empty() || found[0].details.front() == '{') << damage;
  }
}

TEST_F(SqliteEventsTest, WhatATaskAcceptedIsDoneWhenItIsDropped) {
  {
    Task<> putting = store->put_events({event("a.test", "kept")});
    putting.start();
    Task<std::vector<Event>> finding = store->find_events("", 5);
    finding.start();
  }
  done(store->self_test());
  EXPECT_THAT(texts("a.test"), ElementsAre("kept"));
}

}  // namespace
}  // namespace latchkey
