// What the policy remembers of the ask endpoint's answers, in memory (verdict_rows_test.cc: in the
// store).

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "tests/policy/remembering_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class RememberingTest : public RememberingFixture {};

TEST_F(RememberingTest, AYesHoldsForAnHour) {
  const Decision fresh = asked("a.test", 200);
  EXPECT_EQ(fresh.source, VerdictSource::kAsk);
  EXPECT_EQ(fresh.fresh_until, clock.wall_now() + 1h);
  clock.advance(1h - 1s);
  const Decision remembered = unasked("a.test");
  EXPECT_EQ(remembered.verdict, Verdict::kAllow);
  EXPECT_EQ(remembered.source, VerdictSource::kRemembered);
  EXPECT_EQ(remembered.fresh_until, clock.wall_now() + 1s);
  EXPECT_TRUE(remembered.from_ask());
  EXPECT_EQ(policy->decide_without_asking(name("a.test")).verdict, Verdict::kAllow);
  clock.advance(1s);
  EXPECT_EQ(policy->decide_without_asking(name("a.test")).verdict, Verdict::kUnknown);
  EXPECT_EQ(asked("a.test", 403).verdict, Verdict::kDeny);
}

TEST_F(RememberingTest, ANoHoldsForAMinute) {
  const Decision fresh = asked("a.test", 403);
  EXPECT_EQ(fresh.source, VerdictSource::kAsk);
  EXPECT_EQ(fresh.fresh_until, clock.wall_now() + 60s);
  clock.advance(59'999ms);
  const Decision remembered = unasked("a.test");
  EXPECT_EQ(remembered.verdict, Verdict::kDeny);
  EXPECT_EQ(remembered.source, VerdictSource::kRemembered);
  EXPECT_EQ(remembered.reason, "the ask endpoint answered 403");
  EXPECT_EQ(policy->decide_without_asking(name("a.test")).verdict, Verdict::kDeny);
  clock.advance(1ms);
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
}

TEST_F(RememberingTest, TheEndpointSaysHowLong) {
  const std::pair<HttpReply, Millis> cases[] = {
      {reply(200, "", R"({"ttl": 300})"), 300s},
      {reply(200, "max-age=20"), 20s},
      {reply(200, "max-age=20", R"({"ttl": 300})"), 300s},
      {reply(200, "max-age=99999999999"), 720h},
      {reply(200, "max-age=x"), 1h},
      {reply(200, "public"), 1h},
      {reply(200, "", R"({"ttl": "x"})"), 1h},
      {reply(200, "no-cache, private"), 1h},
      {reply(200, "max-age=0, private, must-revalidate"), 1h},
      {reply(404, "no-cache, private"), 60s},
      {reply(404, "no-store"), 60s},
      {reply(404, "max-age=20"), 20s},
      {reply(404, "max-age=3600"), 1h},
      {reply(404, "max-age=99999"), 1h},
      {reply(404, "", R"({"ttl": 300})"), 60s},
  };
  int number = 0;
  for (const auto& [answer, holds] : cases) {
    const std::string text = "n" + std::to_string(number++) + ".test";
    const Verdict verdict = asked(text, answer).verdict;
    clock.advance(holds - 1s);
    EXPECT_EQ(unasked(text).verdict, verdict) << text;
    clock.advance(1s);
    asked(text, 200);
  }
}

TEST_F(RememberingTest, WhatIsNotToBeKeptIsAskedAgain) {
  EXPECT_EQ(asked("yes.test", reply(200, "", R"({"ttl": 0})")).fresh_until, clock.wall_now() + 1s);
  asked("yes.test", 500);
  EXPECT_EQ(asked("yes.test", 500).source, VerdictSource::kStale) << "for want of a newer answer";
  options.negative_ttl = 0ms;
  options.positive_ttl = 0ms;
  options.stale_ttl = 0ms;
  make(nullptr, endpoint());
  asked("no.test", 403);
  asked("no.test", 403);
  const int before = store.writes;
  asked("yes.test", 200);
  asked("yes.test", 200);
  EXPECT_EQ(asked("yes.test", 500).verdict, Verdict::kUnknown);
  EXPECT_EQ(store.writes, before);
}

TEST_F(RememberingTest, UnknownIsNeverRemembered) {
  for (int i = 0; i < 4; ++i) {
    const Decision decision = asked("a.test", 500);
    EXPECT_EQ(decision.verdict, Verdict::kUnknown);
    EXPECT_EQ(decision.source, VerdictSource::kAsk);
  }
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
}

TEST_F(RememberingTest, UnknownDoesNotEndAYesNorANo) {
  asked("yes.test", 200);
  asked("no.test", 403);
  EXPECT_EQ(afresh("yes.test", reply(500)).verdict, Verdict::kAllow);
  EXPECT_EQ(afresh("no.test", reply(500)).verdict, Verdict::kUnknown) << "no repeated denial";
  EXPECT_EQ(unasked("yes.test").verdict, Verdict::kAllow);
  EXPECT_EQ(unasked("no.test").verdict, Verdict::kDeny);
}

TEST_F(RememberingTest, AnOldYesServesForADayWhileTheEndpointIsOutOfOrder) {
  asked("a.test", reply(200, "", R"({"upstream": "http://10.0.0.7:3000"})"));
  clock.advance(1h);
  const Decision stale = asked("a.test", 500);
  EXPECT_EQ(stale.verdict, Verdict::kAllow);
  EXPECT_EQ(stale.source, VerdictSource::kStale);
  ASSERT_NE(stale.grant, nullptr);
  EXPECT_EQ(stale.grant->upstream, "http://10.0.0.7:3000");
  EXPECT_GT(stale.fresh_until, clock.wall_now());
  EXPECT_EQ(stale.reason,
            "the ask endpoint allowed it 1h ago, and gives no answer now: the ask endpoint "
            "answered 500");
  outage();
  EXPECT_EQ(unasked("a.test").source, VerdictSource::kStale);
  EXPECT_EQ(unasked("new.test").verdict, Verdict::kUnknown);
  EXPECT_GT(unasked("new.test").retry_after, 0s);
  EXPECT_EQ(policy->counts().stale.value(), 2u);
  clock.advance(24h - 1s);
  EXPECT_EQ(asked("a.test", 500).source, VerdictSource::kStale);
  clock.advance(1s);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kUnknown);
  clock.advance(2s);
  EXPECT_EQ(asked("new.test", 200).verdict, Verdict::kAllow) << "back without a restart";
  EXPECT_EQ(asked("a.test", 200).verdict, Verdict::kAllow);
}

TEST_F(RememberingTest, ANoEndsAnOldYes) {
  asked("a.test", 200);
  clock.advance(1h);
  asked("a.test", 403);
  outage();
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kDeny);
  clock.advance(60s);
  EXPECT_EQ(asked("a.test", 500).verdict, Verdict::kUnknown);
}

TEST_F(RememberingTest, ASecondOpinionIsRemembered) {
  asked("a.test", 200);
  EXPECT_EQ(afresh("a.test", reply(403)).verdict, Verdict::kDeny);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kDeny);
  EXPECT_EQ(afresh("a.test", reply(200)).verdict, Verdict::kAllow);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kAllow);
  make(allow({"listed.test"}), endpoint());
  for (const char* settled : {"listed.test", "com", "www.www.www.test"}) {
    auto task = policy->decide_afresh(name(settled), AskReason::kRenew);
    task.start();
    EXPECT_EQ(http.open(), 0u) << settled;
    EXPECT_FALSE(done(task).from_ask());
  }
}

TEST_F(RememberingTest, ANameThatWasNeverAllowedCostsNoWrite) {
  for (int i = 0; i < 1000; ++i) asked("n" + std::to_string(i) + ".test", 403);
  for (int i = 0; i < 1000; ++i) unasked("n" + std::to_string(i) + ".test");
  outage();
  for (int i = 0; i < 1000; ++i) unasked("u" + std::to_string(i) + ".test");
  EXPECT_EQ(store.writes, 0);
  EXPECT_EQ(store.reads, 0);
  EXPECT_EQ(policy->ask()->counts().calls.value(), 1005u);
  EXPECT_EQ(policy->counts().denied.value(), 2000u);
  EXPECT_EQ(policy->counts().unknown.value(), 1005u);
  EXPECT_EQ(policy->counts().allowed.value(), 0u);
}

TEST_F(RememberingTest, QuestionsMayBeDroppedAtAnyMoment) {
  store.clock = &clock;
  store.delay = 1s;
  { const Task<Decision> never = policy->decide(name("a.test")); }
  for (const bool recheck : {false, true}) {
    Task<Decision> task = recheck ? policy->decide_afresh(name("a.test"), AskReason::kServe)
                                  : policy->decide(name("a.test"));
    task.start();
    EXPECT_EQ(http.open(), 1u);
    task = {};
    EXPECT_EQ(http.open(), 0u);
  }
  EXPECT_EQ(policy->counts().unknown.value(), 0u);
  asked("a.test", 200);  // the write is under way
  policy.reset();
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(RememberingTest, TwoQuestionsForOneNameDoNoHarm) {
  auto first = policy->decide(name("a.test"));
  auto second = policy->decide_afresh(name("a.test"), AskReason::kServe);
  first.start();
  second.start();
  ASSERT_EQ(http.open(), 2u);
  http.answer(1, 403);
  EXPECT_EQ(done(second).verdict, Verdict::kDeny);
  http.answer(0, 200);
  EXPECT_EQ(done(first).verdict, Verdict::kAllow);
  EXPECT_EQ(unasked("a.test").verdict, Verdict::kAllow);
  policy->keep(name("a.test"));
  EXPECT_EQ(store.verdicts.size(), 1u);
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(RememberingTest, AFloodOfUnwantedNamesCostsNoMemoryAndNobodysYes) {
  options.verdicts.max_denied = 1 << 14;
  make(nullptr, endpoint());
  for (int i = 0; i < 100; ++i) asked("yes" + std::to_string(i) + ".test", 200);
  const int writes = store.writes;
  const auto flood = [this](int from, int to) {
    for (int i = from; i < to; ++i) asked("n" + std::to_string(i) + ".example.com", 403);
  };
  flood(0, 50'000);  // fills the table
  [[maybe_unused]] const size_t before = resident_bytes();
  flood(50'000, 150'000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep freed memory
  EXPECT_LT(resident_bytes(), before + before / 20);
#endif
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(unasked("yes" + std::to_string(i) + ".test").verdict, Verdict::kAllow);
  }
  EXPECT_EQ(store.writes, writes);
}

// Prints what a remembered answer costs; says nothing about what is enough.
TEST_F(RememberingTest, TheCostOfARememberedAnswer) {
  constexpr int kNames = 1000;
  std::vector<ServerName> names;
  for (int i = 0; i < kNames; ++i) {
    names.push_back(name("shop" + std::to_string(i) + ".customers.example.com"));
    asked(names.back().text(), i % 2 == 0 ? 200 : 403);
  }
  for (const int rest : {0, 1}) {
    double best = std::numeric_limits<double>::max();
    for (int round = 0; round < 20; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (int i = rest; i < kNames; i += 2) {
        auto task = policy->decide(names[static_cast<size_t>(i)]);
        task.start();
        ASSERT_EQ(task.outcome()->verdict, rest == 0 ? Verdict::kAllow : Verdict::kDeny);
      }
      const std::chrono::duration<double, std::nano> took =
          std::chrono::steady_clock::now() - start;
      best = std::min(best, took.count() / (kNames / 2));
    }
    RecordProperty(rest == 0 ? "yes_ns" : "no_ns", static_cast<int>(best));
    std::printf("decide() for a remembered %s: %.0f ns\n", rest == 0 ? "yes" : "no", best);
  }
}

}  // namespace
}  // namespace latchkey
