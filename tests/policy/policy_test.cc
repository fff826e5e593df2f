#include "policy/policy.h"

#include <gtest/gtest.h>

#include "tests/policy/policy_fixture.h"

namespace latchkey {
namespace {

class PolicyTest : public PolicyFixture {
 protected:
  Decision decide(std::string_view text) {
    auto task = policy->decide(name(text));
    task.start();
    if (http.open() > 0) http.answer(0, 200);
    EXPECT_TRUE(task.done() && task.outcome());
    return *task.outcome();
  }
};

TEST_F(PolicyTest, WhatIsListedIsAllowedWithoutAsking) {
  make(allow({"shop.example.com", "*.test", "*.localhost"}), endpoint());
  for (const char* wanted : {"shop.example.com", "a.test", "a.localhost", "x.a.localhost"}) {
    auto task = policy->decide(name(wanted));
    task.start();
    EXPECT_EQ(http.open(), 0u);
    ASSERT_TRUE(task.done());
    EXPECT_EQ(task.outcome()->verdict, Verdict::kAllow) << wanted;
    EXPECT_EQ(task.outcome()->source, std::string_view(wanted) == "shop.example.com"
                                          ? VerdictSource::kAllowlistExact
                                          : VerdictSource::kAllowlistSuffix);
    EXPECT_FALSE(task.outcome()->from_ask());
    EXPECT_EQ(task.outcome()->fresh_until, WallTime::max());
    EXPECT_EQ(policy->decide_without_asking(name(wanted)).verdict, Verdict::kAllow);
  }
}

TEST_F(PolicyTest, ExactNamesNeedNoGuard) {
  make(allow({"localhost", "co.uk", "www.www.www.test", "a.b.c.d.e.f.g.h.i.j.k.test"}), nullptr);
  for (const char* wanted :
       {"localhost", "co.uk", "www.www.www.test", "a.b.c.d.e.f.g.h.i.j.k.test"}) {
    EXPECT_EQ(decide(wanted).verdict, Verdict::kAllow) << wanted;
  }
}

TEST_F(PolicyTest, SuffixMatchesAndAskedNamesMustPassTheGuards) {
  make(allow({"*.test", "*.uk"}), endpoint());
  for (const char* refused : {"www.www.www.test", "a.b.c.d.e.f.g.h.i.j.test", "co.uk", "test",
                              "www.www.www.example.com", "com", "co.jp"}) {
    auto task = policy->decide(name(refused));
    task.start();
    EXPECT_EQ(http.open(), 0u) << refused;
    ASSERT_TRUE(task.done()) << refused;
    EXPECT_EQ(task.outcome()->verdict, Verdict::kDeny) << refused;
    EXPECT_EQ(task.outcome()->source, VerdictSource::kGuard) << refused;
    EXPECT_FALSE(task.outcome()->reason.empty());
  }
}

TEST_F(PolicyTest, OthersAreAsked) {
  make(allow({"shop.example.com"}), endpoint());
  EXPECT_EQ(policy->decide_without_asking(name("a.example.com")).verdict, Verdict::kUnknown);
  auto task = policy->decide(name("a.example.com"));
  task.start();
  ASSERT_EQ(http.open(), 1u);
  http.answer(0, 403);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.outcome()->verdict, Verdict::kDeny);
  EXPECT_EQ(task.outcome()->reason, "the ask endpoint answered 403");
}

TEST_F(PolicyTest, WithoutAnEndpointWhatIsNotListedIsDenied) {
  make(allow({"shop.example.com"}), nullptr);
  const Decision decision = decide("a.example.com");
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.source, VerdictSource::kNoEndpoint);
  EXPECT_EQ(decision.reason, "not in the allowlist, and no ask endpoint is set");
  make(nullptr, nullptr);
  EXPECT_EQ(decide("a.example.com").verdict, Verdict::kDeny);
}

TEST_F(PolicyTest, AReplacedListHoldsAtOnce) {
  make(allow({"a.test"}), nullptr);
  policy->replace_allowlist(allow({"b.test"}));
  EXPECT_EQ(decide("a.test").verdict, Verdict::kDeny);
  EXPECT_EQ(decide("b.test").verdict, Verdict::kAllow);
}

TEST_F(PolicyTest, DroppingADecisionDropsItsQuestion) {
  make(nullptr, endpoint());
  {
    auto task = policy->decide(name("a.example.com"));
    task.start();
    EXPECT_EQ(http.open(), 1u);
  }
  EXPECT_EQ(http.open(), 0u);
}

}  // namespace
}  // namespace latchkey
