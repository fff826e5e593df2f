// What the policy has the store remember of the ask endpoint's answers.

#include <gtest/gtest.h>

#include "tests/policy/remembering_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class VerdictRowsTest : public RememberingFixture {};

TEST_F(VerdictRowsTest, YesesAreStoredWithWhatTheyGrant) {
  asked("a.test", reply(200, "max-age=600", R"({"tenant": "acme"})"));
  ASSERT_EQ(store.verdicts.count(name("a.test")), 1u);
  EXPECT_EQ(row("a.test").asked, clock.wall_now());
  EXPECT_EQ(row("a.test").until, clock.wall_now() + 600s);
  EXPECT_EQ(row("a.test").stale_until, clock.wall_now() + 600s + 24h);
  EXPECT_EQ(row("a.test").grant.tenant, "acme");
}

TEST_F(VerdictRowsTest, AYesIsNotWrittenBeforeTheNameIsAdmitted) {
  admitted = false;
  for (int i = 0; i < 100; ++i) asked("n" + std::to_string(i) + ".test", 200);
  asked("a.test", 200);
  clock.advance(20h);
  asked("a.test", reply(200, "", R"({"tenant": "acme"})"));
  asked("n0.test", 403);
  EXPECT_EQ(store.writes, 0);
  policy->keep(name("a.test"));
  policy->keep(name("a.test"));
  policy->keep(name("unknown.test"));
  EXPECT_EQ(store.verdict_puts, 1);
  EXPECT_EQ(row("a.test").grant.tenant, "acme");
}

TEST_F(VerdictRowsTest, AnUnchangedYesIsWrittenRarely) {
  for (int hours = 0; hours < 24; ++hours) {
    asked("a.test", 200);
    clock.advance(1h);
  }
  EXPECT_EQ(store.verdict_puts, 2);
  asked("a.test", reply(200, "", R"({"tenant": "t"})"));
  EXPECT_EQ(store.verdict_puts, 3) << "another grant";
}

TEST_F(VerdictRowsTest, AStoredYesIsWorthAsMuchAsOneInMemory) {
  asked("a.test", reply(200, "", R"({"tenant": "acme"})"));
  const VerdictRecord stored = row("a.test");
  clock.advance(30min);
  make(nullptr, endpoint());  // a restart
  const Decision decision = unasked("a.test", stored);
  EXPECT_EQ(decision.source, VerdictSource::kRemembered);
  EXPECT_EQ(decision.grant->tenant, "acme");
  EXPECT_EQ(decision.fresh_until, stored.until);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kAllow) << "it is in memory now";
  EXPECT_EQ(policy->remembered(name("a.test"))->grant.tenant, "acme");
  make(nullptr, endpoint());
  clock.advance(1h);
  EXPECT_EQ(asked("a.test", reply(500), stored).source, VerdictSource::kStale);
  outage();
  make(nullptr, endpoint());
  clock.advance(24h);
  EXPECT_EQ(asked("a.test", reply(500), stored).verdict, Verdict::kUnknown);
  EXPECT_EQ(store.verdict_puts, 1);
}

TEST_F(VerdictRowsTest, ADenialIsNotUndoneByTheRowThatItDeletes) {
  options.negative_ttl = 0ms;
  make(nullptr, endpoint());
  asked("a.test", 200);
  const VerdictRecord stored = row("a.test");
  clock.advance(1h);
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  EXPECT_EQ(asked("a.test", reply(403), stored).verdict, Verdict::kDeny);
  // The row is still there.
  EXPECT_EQ(asked("a.test", reply(403), stored).verdict, Verdict::kDeny);
  EXPECT_EQ(asked("a.test", reply(500), stored).verdict, Verdict::kUnknown);
}

TEST_F(VerdictRowsTest, ARowWhoseDeleteIsUnderWayIsNotAdopted) {
  options.negative_ttl = 0ms;
  make(nullptr, endpoint());
  asked("a.test", 200);
  const VerdictRecord stored = row("a.test");
  store.clock = &clock;
  store.delay = 1s;
  afresh("a.test", reply(403));
  ASSERT_EQ(store.verdicts.count(name("a.test")), 1u);
  EXPECT_EQ(asked("a.test", reply(500), stored).verdict, Verdict::kUnknown);
  clock.advance(2s);
  EXPECT_TRUE(store.verdicts.empty());
}

TEST_F(VerdictRowsTest, ARowDoesNotOutweighADenialInMemory) {
  asked("a.test", 200);
  const VerdictRecord stored = row("a.test");
  asked("b.test", 403);
  auto task = policy->decide_afresh(name("b.test"), AskReason::kServe, stored);
  task.start();
  http.answer(0, 500);
  EXPECT_EQ(done(task).verdict, Verdict::kUnknown);
  EXPECT_EQ(unasked("b.test", stored).verdict, Verdict::kDeny);
}

TEST_F(VerdictRowsTest, AForgottenDenialIsAskedAboutButTheYesBeforeItStaysGone) {
  asked("a.test", 200);
  const VerdictRecord stored = row("a.test");
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  afresh("a.test", reply(403));
  policy->forget_denial(name("a.test"));
  EXPECT_EQ(asked("a.test", reply(403), stored).verdict, Verdict::kDeny);
  asked("b.test", 200);
  policy->forget_denial(name("b.test"));
  EXPECT_EQ(unasked("b.test").verdict, Verdict::kAllow);
  policy->forget_denials();
  EXPECT_EQ(unasked("b.test").verdict, Verdict::kAllow);
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
}

TEST_F(VerdictRowsTest, AYesWithARowIsKept) {
  asked("a.test", 200);
  const VerdictRecord stored = row("a.test");
  make(nullptr, endpoint());  // a restart
  admitted = false;
  unasked("a.test", stored);
  EXPECT_EQ(store.verdict_puts, 1);
  clock.advance(1h);
  asked("a.test", reply(200, "", R"({"tenant": "acme"})"));
  EXPECT_EQ(row("a.test").grant.tenant, "acme");
  // Its row is read after the question, too.
  make(nullptr, endpoint());
  asked("a.test", 200);
  clock.advance(1h);
  asked("a.test", reply(500), stored);
  EXPECT_EQ(store.verdict_puts, 3);
  EXPECT_EQ(row("a.test").grant.tenant, "");
  afresh("a.test", reply(403));
  EXPECT_TRUE(store.verdicts.empty());
}

TEST_F(VerdictRowsTest, MemoryKnowsBetterThanTheStore) {
  asked("a.test", reply(200, "", R"({"tenant": "old"})"));
  const VerdictRecord old = row("a.test");
  clock.advance(1h);
  asked("a.test", reply(200, "", R"({"tenant": "new"})"));
  EXPECT_EQ(unasked("a.test", old).grant->tenant, "new");
  clock.advance(1h);
  auto task = policy->decide(name("a.test"), AskReason::kIssue, old);
  task.start();
  http.answer(0, 500);
  EXPECT_EQ(done(task).grant->tenant, "new");
}

TEST_F(VerdictRowsTest, ARowFromTheFutureLastsNoLongerThanItsLife) {
  VerdictRecord ahead;
  ahead.asked = clock.wall_now() + 24h * 365;
  ahead.until = ahead.asked + 1h;
  ahead.stale_until = ahead.until + 24h;
  EXPECT_EQ(unasked("a.test", ahead).fresh_until, clock.wall_now() + 1h);
}

TEST_F(VerdictRowsTest, ANoDeletesTheRow) {
  asked("a.test", 200);
  clock.advance(1h);
  asked("a.test", 403);
  EXPECT_TRUE(store.verdicts.empty());
  // After a restart memory does not know of the row, but its reader does.
  asked("b.test", 200);
  const VerdictRecord stored = row("b.test");
  make(nullptr, endpoint());
  clock.advance(1h);
  asked("b.test", reply(403), stored);
  EXPECT_TRUE(store.verdicts.empty());
  // Or finds it while the denial holds.
  store.verdicts[name("b.test")] = stored;
  EXPECT_EQ(unasked("b.test", stored).verdict, Verdict::kDeny);
  EXPECT_TRUE(store.verdicts.empty());
}

TEST_F(VerdictRowsTest, ABrokenStoreCostsNothingButMemory) {
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kAllow);
  EXPECT_EQ(store.verdict_puts, 1);
  store.broken.reset();
  clock.advance(1h);
  asked("a.test", 200);
  EXPECT_EQ(store.verdict_puts, 2) << "tried again with the next answer";
  EXPECT_EQ(store.verdicts.size(), 1u);
}

TEST_F(VerdictRowsTest, ARowThatCouldNotBeWrittenIsTriedAgainWithTheNextKeep) {
  store.broken = Error{ErrorCode::kIo, "the disk is gone"};
  asked("a.test", 200);
  store.broken.reset();
  policy->keep(name("a.test"));
  EXPECT_EQ(store.verdicts.size(), 1u);
}

TEST_F(VerdictRowsTest, ASlowStoreKeepsNobodyWaiting) {
  store.clock = &clock;
  store.delay = 10s;
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
  EXPECT_EQ(asked("b.test", 200).verdict, Verdict::kAllow);
  EXPECT_EQ(store.verdict_puts, 1);
  clock.advance(20s);
  EXPECT_EQ(store.verdicts.size(), 2u);
}

TEST_F(VerdictRowsTest, WhatIsForgottenIsAskedAgainAndNotWritten) {
  store.clock = &clock;
  store.delay = 1s;
  asked("a.test", 200);
  asked("b.test", 200);
  asked("no.test", 403);
  for (const char* gone : {"b.test", "no.test"}) policy->forget(name(gone));
  EXPECT_EQ(policy->remembered(name("b.test")), nullptr);
  clock.advance(10s);
  EXPECT_EQ(store.verdicts.count(name("a.test")), 1u);
  EXPECT_EQ(store.verdicts.count(name("b.test")), 0u);
  asked("b.test", 200);
  asked("no.test", 200);
}

}  // namespace
}  // namespace latchkey
