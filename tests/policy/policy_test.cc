#include "policy/policy.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "tests/policy/fake_http.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

class PolicyTest : public testing::Test {
 protected:
  static std::shared_ptr<const Allowlist> allow(const std::vector<std::string>& entries) {
    std::vector<Allowlist::BadLine> bad;
    auto list = Allowlist::load(entries, {}, bad);
    EXPECT_TRUE(list && bad.empty());
    return *list;
  }
  std::unique_ptr<AskEndpoint> endpoint() {
    AskEndpoint::Options options;
    options.url = "http://127.0.0.1/";
    return std::make_unique<AskEndpoint>(options, http, clock, log);
  }
  static ServerName name(std::string_view text) { return *ServerName::parse(text); }
  Decision decide(Policy& policy, std::string_view text) {
    auto task = policy.decide(name(text));
    task.start();
    if (http.open() > 0) http.answer(0, 200);
    EXPECT_TRUE(task.done() && task.outcome());
    return *task.outcome();
  }

  test::Fd null{open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Log log{null.get(), Log::Format::kText, LogLevel::kError};
  ManualClock clock;
  FakeHttp http;
};

TEST_F(PolicyTest, WhatIsListedIsAllowedWithoutAsking) {
  Policy policy(allow({"shop.example.com", "*.test", "*.localhost"}), endpoint());
  for (const char* wanted : {"shop.example.com", "a.test", "a.localhost", "x.a.localhost"}) {
    auto task = policy.decide(name(wanted));
    task.start();
    EXPECT_EQ(http.open(), 0u);
    ASSERT_TRUE(task.done());
    EXPECT_EQ(task.outcome()->verdict, Verdict::kAllow) << wanted;
    EXPECT_EQ(policy.decide_without_asking(name(wanted)).verdict, Verdict::kAllow);
  }
}

TEST_F(PolicyTest, ExactNamesNeedNoGuard) {
  Policy policy(allow({"localhost", "co.uk", "www.www.www.test", "a.b.c.d.e.f.g.h.i.j.k.test"}),
                nullptr);
  for (const char* wanted :
       {"localhost", "co.uk", "www.www.www.test", "a.b.c.d.e.f.g.h.i.j.k.test"}) {
    EXPECT_EQ(decide(policy, wanted).verdict, Verdict::kAllow) << wanted;
  }
}

TEST_F(PolicyTest, SuffixMatchesAndAskedNamesMustPassTheGuards) {
  Policy policy(allow({"*.test", "*.uk"}), endpoint());
  for (const char* refused : {"www.www.www.test", "a.b.c.d.e.f.g.h.i.j.test", "co.uk", "test",
                              "www.www.www.example.com", "com", "co.jp"}) {
    auto task = policy.decide(name(refused));
    task.start();
    EXPECT_EQ(http.open(), 0u) << refused;
    ASSERT_TRUE(task.done()) << refused;
    EXPECT_EQ(task.outcome()->verdict, Verdict::kDeny) << refused;
    EXPECT_FALSE(task.outcome()->reason.empty());
  }
}

TEST_F(PolicyTest, OthersAreAsked) {
  Policy policy(allow({"shop.example.com"}), endpoint());
  EXPECT_EQ(policy.decide_without_asking(name("a.example.com")).verdict, Verdict::kUnknown);
  auto task = policy.decide(name("a.example.com"));
  task.start();
  ASSERT_EQ(http.open(), 1u);
  http.answer(0, 403);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.outcome()->verdict, Verdict::kDeny);
  EXPECT_EQ(task.outcome()->reason, "the ask endpoint answered 403");
}

TEST_F(PolicyTest, WithoutAnEndpointWhatIsNotListedIsDenied) {
  Policy policy(allow({"shop.example.com"}), nullptr);
  const Decision decision = decide(policy, "a.example.com");
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.reason, "not in the allowlist, and no ask endpoint is set");
  Policy empty(nullptr, nullptr);
  EXPECT_EQ(decide(empty, "a.example.com").verdict, Verdict::kDeny);
}

TEST_F(PolicyTest, AReplacedListHoldsAtOnce) {
  Policy policy(allow({"a.test"}), nullptr);
  policy.replace_allowlist(allow({"b.test"}));
  EXPECT_EQ(decide(policy, "a.test").verdict, Verdict::kDeny);
  EXPECT_EQ(decide(policy, "b.test").verdict, Verdict::kAllow);
}

TEST_F(PolicyTest, DroppingADecisionDropsItsQuestion) {
  Policy policy(nullptr, endpoint());
  {
    auto task = policy.decide(name("a.example.com"));
    task.start();
    EXPECT_EQ(http.open(), 1u);
  }
  EXPECT_EQ(http.open(), 0u);
}

}  // namespace
}  // namespace latchkey
