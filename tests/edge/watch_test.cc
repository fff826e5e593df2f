#include "edge/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

class KeptEvents final : public EventSink {
 public:
  void tell(Event event) override { events.push_back(std::move(event)); }
  std::vector<Event> events;
};

class WatchTest : public testing::Test {
 protected:
  static Budget::View orders(int64_t tokens, int64_t burst = 300) {
    Budget::View view;
    view.issuer = "ca";
    view.kind = LimitKind::kOrders;
    view.tokens = tokens;
    view.burst = burst;
    view.next_in = 36s;
    return view;
  }
  void left(int64_t tokens, int64_t burst = 300) { watch.tick({orders(tokens, burst)}, {}, now); }
  // So many requests in each of so many minutes.
  void pass(int minutes, uint64_t requests) {
    for (int i = 0; i < minutes; ++i) {
      now += 1min;
      total += requests;
      watch.tick({}, {{"ca", total}}, now);
    }
  }

  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  KeptEvents sink;
  Watch watch{sink, log};
  TimePoint now{1h};
  uint64_t total = 1'000'000;  // of which only the growth counts
};

TEST_F(WatchTest, ALowBudgetIsToldOnce) {
  left(30);
  EXPECT_THAT(sink.events, IsEmpty());
  left(29);
  left(0);
  left(75);
  left(29);
  ASSERT_EQ(sink.events.size(), 1u);
  const Event& event = sink.events[0];
  EXPECT_EQ(event.kind, "budget_low");
  EXPECT_EQ(event.issuer, "ca");
  const auto details = parse_json(event.details);
  ASSERT_TRUE(details) << event.details;
  EXPECT_EQ(details->find("orders_left")->number, 29);
  EXPECT_EQ(details->find("burst")->number, 300);
  EXPECT_EQ(details->find("next_in_seconds")->number, 36);
}

TEST_F(WatchTest, ALowBudgetIsToldAgainAfterAQuarterWasBack) {
  left(29);
  left(76);
  left(29);
  EXPECT_EQ(sink.events.size(), 2u);
}

TEST_F(WatchTest, SmallBurstsAreLowWhenNothingIsLeft) {
  left(1, 5);
  EXPECT_THAT(sink.events, IsEmpty());
  left(0, 5);
  EXPECT_EQ(sink.events.size(), 1u);
}

TEST_F(WatchTest, OnlyTheIssuersOrdersAreBudget) {
  Budget::View domain = orders(0);
  domain.kind = LimitKind::kDomain;
  const Budget::View unlimited = orders(0, 0);  // only a hold
  watch.tick({domain, unlimited}, {}, now);
  EXPECT_THAT(sink.events, IsEmpty());
}

TEST_F(WatchTest, UnusualTrafficIsToldOnce) {
  pass(300, 10);
  pass(30, 51);
  ASSERT_EQ(sink.events.size(), 1u);
  const Event& event = sink.events[0];
  EXPECT_EQ(event.kind, "acme_traffic_unusual");
  EXPECT_EQ(event.issuer, "ca");
  const auto details = parse_json(event.details);
  ASSERT_TRUE(details) << event.details;
  EXPECT_GT(details->find("requests")->number, 500);
  EXPECT_EQ(details->find("usual")->number, 100);
}

TEST_F(WatchTest, FiveTimesAsManyAreNotUnusualYet) {
  pass(300, 10);
  pass(120, 50);
  EXPECT_THAT(sink.events, IsEmpty());
}

TEST_F(WatchTest, FewRequestsAreNeverUnusual) {
  pass(300, 0);
  pass(10, 4);
  EXPECT_THAT(sink.events, IsEmpty());
  pass(5, 10);
  EXPECT_EQ(sink.events.size(), 1u);
}

TEST_F(WatchTest, TheFirstHourHasNothingToCompareWith) {
  pass(1, 0);
  pass(60, 100);
  pass(30, 100);
  EXPECT_THAT(sink.events, IsEmpty());
}

TEST_F(WatchTest, UnusualTrafficIsToldOnceAnHourAtMost) {
  pass(24 * 60, 1);
  for (int i = 0; i < 3; ++i) {  // a burst every half an hour
    pass(10, 20);
    pass(20, 0);
  }
  EXPECT_EQ(sink.events.size(), 2u);
}

TEST_F(WatchTest, WhatIsOlderThanADayIsForgotten) {
  pass(12 * 60, 100);
  pass(24 * 60 + 10, 1);
  pass(10, 6);
  EXPECT_EQ(sink.events.size(), 1u);
}

TEST_F(WatchTest, MinutesThatWereMissedHadNoRequests) {
  pass(120, 10);
  now += 6h;
  pass(1, 300);  // the mean is 29 by now
  EXPECT_EQ(sink.events.size(), 1u);
}

TEST_F(WatchTest, AfterASleepOfDaysNothingIsKnown) {
  pass(120, 10);
  now += 72h;
  pass(1, 10);
  EXPECT_THAT(sink.events, IsEmpty());
  pass(120, 1);
  EXPECT_THAT(sink.events, IsEmpty());
}

TEST_F(WatchTest, ACounterThatBeganAnewCountsFromNothing) {
  pass(120, 10);
  total = 0;
  pass(1, 20);
  pass(60, 10);
  EXPECT_THAT(sink.events, IsEmpty());
}

TEST_F(WatchTest, IssuersAreCountedApart) {
  for (int i = 0; i < 120; ++i) {
    now += 1min;
    total += 100;
    watch.tick({}, {{"busy", total}, {"quiet", static_cast<uint64_t>(i)}}, now);
  }
  EXPECT_THAT(sink.events, IsEmpty());
  now += 1min;
  total += 100;
  watch.tick({}, {{"busy", total}, {"quiet", 300}}, now);
  ASSERT_EQ(sink.events.size(), 1u);
  EXPECT_EQ(sink.events[0].issuer, "quiet");
}

}  // namespace
}  // namespace latchkey::edge
