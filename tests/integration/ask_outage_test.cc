// The ask endpoint goes down, and comes back.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/support/ask_site.h"
#include "tests/support/client_hello.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

// From connecting to the alert.
double refusal_ms(const Site& site, const std::string& name) {
  const auto begin = std::chrono::steady_clock::now();
  const RawAnswer answer = send_raw(site.https.number(), client_hello_for(name));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(answer.alert, alert::kInternalError) << name;
  return took.count();
}

TEST(AskOutageTest, WhatIsKnownIsServedAndTheRestIsRefusedAtOnceUntilItIsBack) {
  AskSite site;
  site.edge.settings.ask_timeout = "1s";
  site.edge.settings.ask_positive_ttl = "1s";
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"memory.test", "stored.test", "stale.test"}) {
    ASSERT_TRUE(site.visit(name).handshake.verified) << name;
  }
  ASSERT_TRUE(site.edge.terminate());
  StoreFile(site.database()).forget("stale.test");  // its verdict stays

  Response hang;
  hang.hang = true;
  site.judge.judge_by(AskServer::answer(hang));
  const size_t asked = site.judge.asked();
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("stored.test").handshake.verified);
  EXPECT_TRUE(site.visit("memory.test").handshake.verified);
  EXPECT_TRUE(site.visit("memory.test").handshake.verified);  // and from memory
  EXPECT_EQ(site.pebble->orders(), 3u);

  const Stopwatch time;
  EXPECT_EQ(site.alert_for("new.test"), alert::kInternalError);
  EXPECT_LT(time.elapsed(), Millis(1500));
  EXPECT_GT(site.judge.asked(), asked);

  // Its yes is stale by now, but the endpoint says neither yes nor no.
  const auto stale = site.visit("stale.test");
  EXPECT_TRUE(stale.handshake.verified) << stale.handshake.error;
  EXPECT_EQ(site.pebble->orders(), 4u);

  site.judge.stop();
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(site.alert_for("down" + std::to_string(i) + ".test"), alert::kInternalError);
  }
  std::vector<double> refusals;
  for (int i = 0; i < 101; ++i) {
    refusals.push_back(refusal_ms(site, "open" + std::to_string(i) + ".test"));
  }
  std::sort(refusals.begin(), refusals.end());
  std::printf("refused by the open breaker: median %.2f ms, 90 %% %.2f ms\n", refusals[50],
              refusals[90]);
  if (!kSanitized) {
    EXPECT_LT(refusals[50], 1.0);
  }
  EXPECT_EQ(at(site.edge.admin_json("GET", "/status"), "policy.ask.health").text, "failing");
  EXPECT_TRUE(site.visit("memory.test").handshake.verified);
  EXPECT_TRUE(site.visit("stale.test").handshake.verified);

  // New names that nobody has asked for before: each is somebody's first visit.
  site.judge.judge_by(AskServer::allow_all());
  site.judge.start();
  int tries = 0;
  EXPECT_TRUE(eventually(
      [&] { return site.visit("back" + std::to_string(++tries) + ".test").handshake.verified; }));
  EXPECT_TRUE(site.visit("new.test").handshake.verified);
  EXPECT_EQ(at(site.edge.admin_json("GET", "/status"), "policy.ask.health").text, "ok");
  EXPECT_LT(site.edge.count("ask_failed"), 10u);
}

TEST(AskOutageTest, WhenTheBreakerIsOpenTheEndpointIsLeftAloneButForAProbe) {
  AskSite site;
  Response trouble;
  trouble.status = 500;
  site.judge.judge_by(AskServer::answer(trouble));
  ASSERT_TRUE(site.edge.start());
  const Stopwatch time;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    EXPECT_EQ(send_raw(site.https.number(), client_hello_for(name)).alert, alert::kInternalError);
  }
  const auto probes = static_cast<size_t>(time.elapsed() / Millis(2000)) + 1;
  EXPECT_LE(site.judge.asked(), 5 + probes);
  EXPECT_GE(site.judge.asked(), 5u);
}

TEST(AskOutageTest, ItsRetryAfterIsHonoured) {
  AskSite site;
  Response busy;
  busy.status = 503;
  busy.headers = {{"Retry-After", "60"}};
  site.judge.judge_by(AskServer::answer(busy));
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.alert_for("a.test"), alert::kInternalError);
  site.judge.judge_by(AskServer::allow_all());
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    EXPECT_EQ(site.alert_for(name), alert::kInternalError) << name;
  }
  EXPECT_EQ(site.judge.asked(), 1u);
}

}  // namespace
}  // namespace latchkey::test
