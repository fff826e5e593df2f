// Staples when there is very much to do, responders are down, the store fails, the clock jumps.

#include "tests/ondemand/staples_fixture.h"

namespace latchkey::staples_test {
namespace {

constexpr const char* kOther = "http://other.test/";

std::string numbered(int i) {
  return "n" + std::to_string(i) + ".test";
}

TEST_F(StaplesTest, ManyThatAreDueAreSpread) {
  for (int i = 0; i < 600; ++i) add(numbered(i));
  source.takes = 20ms;
  start();
  advance(1s);
  EXPECT_LE(source.asked.size(), 64u);
  advance(60s);
  EXPECT_EQ(source.asked.size(), 600u - staples->counts().failed.value());
  EXPECT_LE(source.most_at_one, 4u);
  EXPECT_EQ(staples->counts().fetched.value(), 600u);
}

TEST_F(StaplesTest, ManyRespondersShareThePlaces) {
  for (int i = 0; i < 200; ++i) {
    add(numbered(i), "http://ocsp" + std::to_string(i % 40) + ".test/");
  }
  source.takes = 500ms;
  start();
  advance(30s);
  EXPECT_EQ(staples->counts().fetched.value(), 200u);
  EXPECT_EQ(source.most_at_once, 16u);
  EXPECT_LE(source.most_at_one, 4u);
}

TEST_F(StaplesTest, ADeadResponderIsNotHammered) {
  for (int i = 0; i < 500; ++i) add(numbered(i));
  all_fail();
  start();
  advance(1h);
  EXPECT_LE(source.asked.size(), 80u);  // one a minute
  EXPECT_EQ(events.count(event_kind::kStapleFailed), 1u);
  source.by_responder.clear();
  advance(3h);
  EXPECT_EQ(staples->counts().fetched.value(), 500u);
}

TEST_F(StaplesTest, AHungResponderDoesNotHoldUpTheOthers) {
  for (int i = 0; i < 300; ++i) add(numbered(i));
  add("other.test", kOther);
  source.hung.insert(kResponder);
  start();
  advance(3min);
  const auto fetched = staples->counts().fetched.value();
  EXPECT_EQ(fetched, 1u);
  EXPECT_LE(source.most_at_one, 4u);
  EXPECT_LE(source.asked.size(), 20u);
}

TEST_F(StaplesTest, ASlowResponderWithManyDueLeavesRoomForOthers) {
  for (int i = 0; i < 300; ++i) add(numbered(i));
  const CertificatePtr other = add("other.test", kOther);
  source.takes = 9s;
  start();
  advance(2min);
  EXPECT_EQ(source.asked_about(*other), 1u);
}

TEST_F(StaplesTest, AnOutageOfOneNameIsToldOnce) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  const Error wrong{ErrorCode::kNotFound, "unknown"};
  source.answers.insert_or_assign(made->serial(), wrong);
  advance(90h);
  EXPECT_EQ(events.count(event_kind::kStapleFailed), 1u);
  EXPECT_EQ(events.events.front().name, "a.test");
  source.answers.clear();
  advance(10h);
  ASSERT_NE(stapled("a.test"), nullptr);
  source.answers.insert_or_assign(made->serial(), wrong);
  advance(90h);
  EXPECT_EQ(events.count(event_kind::kStapleFailed), 2u);
}

TEST_F(StaplesTest, AResponderThatSaysLaterIsLeftAlone) {
  start();
  add("a.test");
  Error later{ErrorCode::kThrottled, "429"};
  later.retry_after = 30min;
  source.by_responder.insert_or_assign(kResponder, later);
  advance(29min);
  EXPECT_EQ(source.asked.size(), 1u);
  add("b.test");
  advance(1min);
  EXPECT_EQ(source.asked.size(), 1u);
}

// --- the store

TEST_F(StaplesTest, AStoreThatFailsIsTriedAgain) {
  start();
  store.broken = Error{ErrorCode::kIo, "disk I/O error"};
  const int queries = store.staple_queries;
  advance(1h);
  EXPECT_LE(store.staple_queries - queries, 70);
  store.broken.reset();
  add("a.test");
  advance(2min);
  EXPECT_NE(stapled("a.test"), nullptr);
}

// Its key may be one that is not in the key file.
TEST_F(StaplesTest, RowsThatCannotBeReadStandInNobodysWay) {
  for (int i = 0; i < 100; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    add(name);
    store.unreadable.insert(name_of(name));
  }
  start();
  for (auto& [leaf, one] : store.staples) one.look_at = now();
  advance(10s);
  add("a.test");
  const int reads = store.reads;
  advance(10s);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_LE(store.reads - reads, 10);
  advance(1h);
  EXPECT_LE(store.reads - reads, 800);
  store.unreadable.clear();
  advance(20min);
  for (const auto& [leaf, one] : store.staples) EXPECT_NE(one.staple, nullptr);
}

TEST_F(StaplesTest, WhatCannotBeWrittenIsInUseAndNotAskedForAgain) {
  start();
  add("a.test");
  store.full = Error{ErrorCode::kIo, "disk full"};
  store.broken_test = store.full;
  advance(10min);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_EQ(source.asked.size(), 1u);
  store.full.reset();
  store.broken_test.reset();
  advance(2min);
  EXPECT_EQ(source.asked.size(), 1u);
  EXPECT_NE(store.staples.begin()->second.staple, nullptr);
}

// --- the clock

TEST_F(StaplesTest, AClockThatIsPutForwardDeletesNothingAtOnce) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  all_fail();
  clock.offset = 10 * 24h;
  advance(2h);
  EXPECT_NE(row(*made).staple, nullptr);
  EXPECT_EQ(staples->counts().dropped.value(), 0u);
  clock.offset = 0s;
  advance(2h);
  EXPECT_TRUE(stapled("a.test") != nullptr && stapled("a.test")->good_at(now()));
  clock.offset = 10 * 24h;  // and stays
  advance(30h);
  EXPECT_EQ(row(*made).staple, nullptr);
}

TEST_F(StaplesTest, AClockThatIsPutBackLeavesNothingForLater) {
  clock.offset = 365 * 24h;
  start();
  const CertificatePtr made =
      ca.issue({"a.test"}, kResponder, now() - 400 * 24h, now() + 400 * 24h, key);
  store.set_certificate(name_of("a.test"), made, "ca");
  cache->put(name_of("a.test"), made);
  all_fail(ErrorCode::kNotFound);
  staples->see(name_of("a.test"), Slot::kMain, made);
  advance(1min);
  const std::vector<ConfiguredCertificate> own{
      {ca.issue({"own.test"}, kResponder, now() - 400 * 24h, now() + 400 * 24h, key), "files"}};
  cache->set_configured(own);
  staples->set_configured(own);
  advance(1min);
  clock.offset = 0s;
  source.by_responder.clear();
  advance(5min);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_NE(stapled("own.test"), nullptr);
}

TEST_F(StaplesTest, RowsOfAWrongClockAreFoundAtTheStart) {
  const CertificatePtr made = add("a.test");
  row(*made).look_at = now() + 365 * 24h;
  start();
  advance(2min);
  EXPECT_EQ(source.asked_about(*made), 1u);
}

// --- an end at any moment

TEST_F(StaplesTest, ItMayEndAtAnyWait) {
  source.takes = 7ms;
  for (int step = 0; step < 60; ++step) {
    store.staples.clear();
    source.answers.clear();
    start();
    const CertificatePtr made = add("a.test");
    const CertificatePtr revoked = add("b.test");
    source.answers.insert_or_assign(revoked->serial(), FakeSource::revoked("superseded"));
    const CertificatePtr own = make("own.test");
    staples->set_configured({{own, "files"}});
    {
      Task<CertificatePtr> waiting =
          staples->with_staple(name_of("a.test"), Slot::kMain, made, 30ms);
      waiting.start();
      advance(Millis(step));
    }
    staples.reset();
    advance(1min);
    store.certificates.clear();
  }
}

TEST_F(StaplesTest, ManyNamesAreAskedAboutNoMoreThanTheyMust) {
  for (int i = 0; i < 100; ++i) add(numbered(i));
  start();
  advance(20 * 24h);
  // Twice in each life of four days; spread.
  EXPECT_GE(source.asked.size(), 900u);
  EXPECT_LE(source.asked.size(), 1150u);
  EXPECT_EQ(staples->counts().failed.value(), 0u);
  EXPECT_EQ(staples->counts().dropped.value(), 0u);
}

}  // namespace
}  // namespace latchkey::staples_test
