// What strangers can make us hold, and for how long.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::test {
namespace {

// Visitors wait for an endpoint that does not answer, until park_timeout.
class BoundsTest : public ::testing::Test {
 protected:
  BoundsTest() : site_(without_pebble()) {
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.park_timeout = "2s";
    site_.edge.settings.ask_timeout = "20s";
    Response hang;
    hang.hang = true;
    site_.judge.judge_by(AskServer::answer(hang));
  }
  // How many of the visitors were refused at once, and how many after park_timeout.
  struct Outcome {
    size_t at_once = 0, later = 0, other = 0;
  };
  Outcome visit(SwarmOptions options) {
    options.port = site_.https.number();
    Outcome outcome;
    for (const auto& h : swarm(options)) {
      if (h.alert != alert::kInternalError) {
        ++outcome.other;
      } else if (h.took < Millis(1500)) {
        ++outcome.at_once;
      } else {
        ++outcome.later;
      }
    }
    return outcome;
  }
  double overflows() {
    return at(site_.edge.admin_json("GET", "/status"), "handshakes.park_overflows").number;
  }

  ScriptedCa ca_;
  AskSite site_;
};

SwarmOptions visitors(size_t count) {
  SwarmOptions options;
  options.count = count;
  options.sni = [](size_t i) { return "n" + std::to_string(i) + ".test"; };
  options.source = spread_sources();
  return options;
}

TEST_F(BoundsTest, ParkedHandshakesInAll) {
  site_.edge.settings.max_parked = 50;
  ASSERT_TRUE(site_.edge.start());
  const Outcome outcome = visit(visitors(120));
  EXPECT_EQ(outcome.at_once, 70u);
  EXPECT_EQ(outcome.later, 50u);
  EXPECT_EQ(overflows(), 70);
  EXPECT_EQ(at(site_.edge.admin_json("GET", "/status"), "parked").number, 0);
}

TEST_F(BoundsTest, ParkedHandshakesForOneName) {
  site_.edge.settings.max_parked_per_name = 30;
  ASSERT_TRUE(site_.edge.start());
  SwarmOptions herd = visitors(100);
  herd.sni = [](size_t) { return "herd.test"; };
  const Outcome outcome = visit(herd);
  EXPECT_EQ(outcome.at_once, 70u);
  EXPECT_EQ(outcome.later, 30u);
  EXPECT_EQ(site_.judge.asked(), 1u);
}

TEST_F(BoundsTest, ParkedHandshakesFromOnePrefix) {
  site_.edge.settings.max_parked_per_prefix = 20;
  ASSERT_TRUE(site_.edge.start());
  SwarmOptions crowd = visitors(100);
  crowd.source = spread_sources(50);  // two networks
  const Outcome outcome = visit(crowd);
  EXPECT_EQ(outcome.at_once, 60u);
  EXPECT_EQ(outcome.later, 40u);
  // Who left gave his place back.
  crowd.count = 20;
  EXPECT_EQ(visit(crowd).at_once, 0u);
}

TEST_F(BoundsTest, TheDefaultsKeepOneNetworkFromTakingEverything) {
  ASSERT_TRUE(site_.edge.start());
  SwarmOptions crowd = visitors(600);
  crowd.source = spread_sources(250);
  crowd.source = [](size_t i) {
    return (127u << 24) + (9u << 8) + 1 + static_cast<uint32_t>(i) % 250;
  };
  const Outcome outcome = visit(crowd);
  EXPECT_EQ(outcome.at_once, 100u);
  EXPECT_EQ(outcome.later, 500u);
}

TEST_F(BoundsTest, WaitingVisitorsDoNotKeepCachedNamesWaiting) {
  site_.judge.judge_by([](const std::string& name) {
    Response response;
    response.hang = name != "cached.test";
    return response;
  });
  site_.edge.settings.max_parked = 40;
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.connect("cached.test").handshake().done);
  SwarmOptions crowd = visitors(100);
  size_t served = 0;
  crowd.all_sent = [&] {
    for (int i = 0; i < 20; ++i) served += site_.connect("cached.test").handshake().done ? 1 : 0;
  };
  visit(crowd);
  EXPECT_EQ(served, 20u);
}

TEST_F(BoundsTest, NewNamesUnderOneRegisteredDomain) {
  site_.judge.judge_by(AskServer::allow_all());
  site_.edge.settings.allow = {"*.listed.test"};
  site_.edge.settings.per_registered_domain = EdgeSettings::rate(3, "7d");
  ASSERT_TRUE(site_.edge.start());
  const auto done = [&](const std::string& name) { return site_.connect(name).handshake().done; };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(done("n" + std::to_string(i) + ".asked.test")) << i;
  EXPECT_EQ(site_.alert_for("n3.asked.test"), alert::kInternalError);
  EXPECT_TRUE(done("n0.asked.test"));
  EXPECT_TRUE(done("n0.other.test"));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(done("n" + std::to_string(i) + ".listed.test")) << i;
  // Also after a restart.
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.alert_for("n4.asked.test"), alert::kInternalError);
  EXPECT_TRUE(done("n1.asked.test"));
  EXPECT_EQ(ca_.orders("n3.asked.test"), 0u);
}

TEST_F(BoundsTest, OurOwnThrottleOnNewOrders) {
  site_.edge.settings.allow = {"*.test"};
  site_.edge.settings.throttle = EdgeSettings::rate(5, "1h");
  ASSERT_TRUE(site_.edge.start());
  size_t served = 0, refused = 0;
  for (int i = 0; i < 10; ++i) {
    const auto handshake = site_.connect("n" + std::to_string(i) + ".test").handshake();
    served += handshake.done ? 1 : 0;
    refused += handshake.alert == alert::kInternalError ? 1 : 0;
  }
  EXPECT_LE(served, 5u);
  EXPECT_GE(served, 4u);
  EXPECT_EQ(served + refused, 10u);
  EXPECT_EQ(ca_.requests("/newOrder"), served);
}

}  // namespace
}  // namespace latchkey::test
