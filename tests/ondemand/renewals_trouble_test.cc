// A store that fails, a clock that jumps, an owner who lets go.
#include "tests/ondemand/renewals_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

using RenewalsTroubleTest = RenewalsTest;

TEST_F(RenewalsTroubleTest, AStoreThatFailsForAnHourIsAskedGentlyAndHeals) {
  for (int i = 0; i < 20; ++i) add_due(std::to_string(i) + ".listed.test");
  store.broken = Error{ErrorCode::kIo, "disk gone"};
  start();
  clock.advance(1h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_GE(store.due_queries, 60);
  EXPECT_LE(store.due_queries, 70);
  store.broken.reset();
  clock.advance(62s);
  EXPECT_EQ(orders(), 20u);
}

TEST_F(RenewalsTroubleTest, AStoreThatCannotWriteOrdersNothingAndIsTestedInsteadOfWorkedOn) {
  for (int i = 0; i < 20; ++i) add_due(std::to_string(i) + ".test");
  http.status = 404;  // what comes of a look is to be written
  store.full = store.broken_test = Error{ErrorCode::kIo, "disk full"};
  start();
  clock.advance(1h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_LE(http.calls, 40);
  EXPECT_LE(store.self_tests, 70);
  http.status = 200;
  store.full.reset();
  store.broken_test.reset();
  clock.advance(62s);
  EXPECT_EQ(orders(), 20u);
}

TEST_F(RenewalsTroubleTest, ASelfTestThatPassesThoughWritesFailIsNoStorm) {
  for (int i = 0; i < 20; ++i) add_due(std::to_string(i) + ".test");
  http.status = 404;
  store.full = Error{ErrorCode::kIo, "corrupt index"};
  start();
  clock.advance(1h);
  EXPECT_LE(http.calls, 20 * 70);
  EXPECT_LE(store.plan_puts, 20 * 70);
}

TEST_F(RenewalsTroubleTest, ACertificateThatCannotBeStoredIsNoStorm) {
  add_due("a.listed.test");
  store.full = Error{ErrorCode::kIo, "disk full"};
  start();
  clock.advance(1h);
  EXPECT_LE(orders(), 8u);
  store.full.reset();
  clock.advance(24h);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
}

TEST_F(RenewalsTroubleTest, AJumpOfAYearForwardIsNoStorm) {
  RenewalsOptions options;
  options.renewals.max_looking = 20;
  options.renewals.look_again = 10min;
  options.rules.forget_after = Days(80);
  for (int i = 0; i < 100; ++i) add(std::to_string(i) + ".test", Days(90), Days(1));
  start(options);
  clock.advance(1h);
  const int asked = http.calls;
  first.takes = 10s;
  first.trouble = own_failure();  // the CA's clock is right: what it makes is no good here
  clock.offset += Days(365);
  for (int i = 0; i < 360; ++i) {
    clock.advance(30s);
    EXPECT_LE(side->renewals->looking(), 20u);
    EXPECT_LE(side->issuances->running(), 20u);
  }
  EXPECT_LE(http.calls - asked, 100 * 12);
  EXPECT_LE(orders(), 100u * 4);
  EXPECT_EQ(side->events.count(event_kind::kNotRenewed), 0u)
      << "nobody could visit in time that did not pass";
  EXPECT_EQ(side->events.count(event_kind::kExpired), 100u) << "each once";

  // And back: nothing is renewed that is not due, and all of it is looked after again.
  clock.offset -= Days(365);
  first.trouble.reset();
  clock.advance(2h);
  first.orders.clear();
  clock.advance(24h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_GE(side->renewals->counts().corrected.value(), 1u);
  clock.advance(64 * 24h);
  for (const auto& [name, info] : store.infos) {
    EXPECT_GT(info.end, now() + Days(20)) << name.text();
  }
}

TEST_F(RenewalsTroubleTest, AJumpOfAYearBackRenewsNothingNeedlesslyAndHealsForward) {
  for (int i = 0; i < 100; ++i) add(std::to_string(i) + ".listed.test", Days(90), Days(50));
  start();
  clock.advance(1h);
  clock.offset -= Days(365);
  clock.advance(24h);
  EXPECT_EQ(orders(), 0u);
  clock.offset += Days(365);
  clock.advance(15 * 24h);
  EXPECT_EQ(orders(), 100u);
}

TEST_F(RenewalsTroubleTest, WhatAnEarlierProcessWroteByAWrongClockIsPutRightAtTheStart) {
  add("a.listed.test", Days(90), Days(30));
  plan("a.listed.test").poll_at = RenewalPlan::kNever;
  plan("a.listed.test").look_at = now() + Days(365);
  add("b.listed.test", Days(90), Days(30));
  plan("b.listed.test").look_at = RenewalPlan::kNever;
  Event event;
  event.at = now() + Days(365);
  store.events.push_back(event);
  start();
  clock.advance(1min);
  EXPECT_EQ(plan("a.listed.test").look_at, plan("a.listed.test").renew_at);
  EXPECT_EQ(plan("b.listed.test").look_at, plan("b.listed.test").renew_at);
}

TEST_F(RenewalsTroubleTest, AnHourOfSummerTimeIsNoJump) {
  add("a.listed.test");
  start();
  const int before = store.reads;
  clock.offset += 30min;
  clock.advance(2min);
  clock.offset -= 30min;
  clock.advance(2min);
  EXPECT_LE(store.reads - before, 3);
}

TEST_F(RenewalsTroubleTest, ItsOwnerMayLetGoAtAnyTime) {
  store.delay = 10ms;
  first.advice = [this](const Certificate&) -> Result<RenewalAdvice> {
    return window(now() - Days(1), now() + Days(1));
  };
  // The steps of a whole renewal, with visits being written and the operator waiting.
  for (Millis end = 0ms; end < 2s; end += 5ms) {
    add("a.test", Days(90), Days(70));
    add("b.test", Days(90), Days(10));
    plan("a.test").renew_at = now();
    start();
    side->renewals->note_use(name_of("b.test"));
    Task<CertificatePtr> renewing = side->renewals->renew_now(name_of("b.test"));
    renewing.start();
    clock.advance(end);
    renewing = {};
    stop();
    clock.advance(1h);
  }
  EXPECT_EQ(clock.manual.pending(), 0u);
}

TEST_F(RenewalsTroubleTest, ItsOwnerMayLetGoWhileTheStoreOrTheClockFails) {
  store.delay = 10ms;
  for (Millis end = 0ms; end < 3s; end += 7ms) {
    add_due("a.test");
    http.status = 404;
    store.full = Error{ErrorCode::kIo, "disk full"};
    Event event;
    event.at = now() + Days(365);
    store.events.assign(1, event);
    start();
    for (int i = 0; i < 1000; ++i) side->renewals->note_use(name_of("a.test"));
    clock.advance(end);
    stop();
    store.full.reset();
  }
  EXPECT_EQ(clock.manual.pending(), 0u);
}

}  // namespace
}  // namespace latchkey
