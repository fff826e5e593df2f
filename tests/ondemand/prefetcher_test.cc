#include "ondemand/prefetcher.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class PrefetcherTest : public testing::Test {
 protected:
  static ServerName name(int i) { return *ServerName::parse("n" + std::to_string(i) + ".test"); }
  void finish(size_t i, std::optional<Error> error = {}) {
    const auto done = std::move(started[i].second);
    done(error ? &*error : nullptr);
  }

  static constexpr Prefetcher::From kOperator = Prefetcher::From::kOperator;

  ManualClock clock;
  std::vector<std::pair<std::string, Prefetcher::Done>> started;
  Prefetcher prefetcher{{.max_names = 5, .max_running = 2},
                        [this](const ServerName& n, Prefetcher::Done done) {
                          started.emplace_back(n.text(), std::move(done));
                        },
                        clock};
};

TEST_F(PrefetcherTest, StartsAFewAtATimeInTheOrderOfTheirComing) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(prefetcher.add(name(i), kOperator));
  EXPECT_TRUE(started.empty());  // never from within the call
  clock.advance(0ms);
  ASSERT_EQ(started.size(), 2u);
  EXPECT_EQ(started[0].first, "n0.test");
  finish(0);
  clock.advance(0ms);
  ASSERT_EQ(started.size(), 3u);
  EXPECT_EQ(started[2].first, "n2.test");
}

TEST_F(PrefetcherTest, ANameIsTakenOnceAndTheNumberIsBounded) {
  EXPECT_TRUE(prefetcher.add(name(0), kOperator));
  EXPECT_TRUE(prefetcher.add(name(0), kOperator));
  for (int i = 1; i < 5; ++i) EXPECT_TRUE(prefetcher.add(name(i), kOperator));
  EXPECT_FALSE(prefetcher.add(name(5), kOperator));
  EXPECT_EQ(prefetcher.waiting(), 5u);
}

TEST_F(PrefetcherTest, WhatWasPutOffComesBackWhenItIsAllowed) {
  prefetcher.add(name(0), kOperator);
  clock.advance(0ms);
  finish(0, Error{ErrorCode::kThrottled, "budget", 1h});
  clock.advance(59min);
  EXPECT_EQ(started.size(), 1u);
  clock.advance(1min);
  EXPECT_EQ(started.size(), 2u);
  finish(1);
  EXPECT_EQ(prefetcher.waiting() + prefetcher.running(), 0u);
}

TEST_F(PrefetcherTest, WhatFailsForItsOwnSakeIsNotTriedAgain) {
  prefetcher.add(name(0), kOperator);
  prefetcher.add(name(1), kOperator);
  clock.advance(0ms);
  finish(0, Error{ErrorCode::kDenied, "no"});
  finish(1, Error{ErrorCode::kProtocol, "unauthorized"});
  clock.advance(24h);
  EXPECT_EQ(started.size(), 2u);
}

TEST_F(PrefetcherTest, WhatVisitsBringGetsHalfOfTheRoomAndComesBackAFewTimes) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(prefetcher.add(name(i), Prefetcher::From::kVisit));
  EXPECT_FALSE(prefetcher.add(name(2), Prefetcher::From::kVisit));
  EXPECT_TRUE(prefetcher.add(name(2), kOperator));
  for (size_t i = 0; i < 60; ++i) {
    clock.advance(1h);
    if (i < started.size()) finish(i, Error{ErrorCode::kThrottled, "limits"});
  }
  size_t visits = 0, operators = 0;
  for (const auto& [text, done] : started) ++(text == "n2.test" ? operators : visits);
  EXPECT_EQ(visits, 8u);
  EXPECT_GT(operators, 20u);
}

TEST_F(PrefetcherTest, AnEndpointThatIsDownIsNotAskedForever) {
  prefetcher.add(name(0), Prefetcher::From::kVisit);
  for (size_t i = 0; i < 30; ++i) {
    clock.advance(1min);
    if (i < started.size()) finish(i, Error{ErrorCode::kIo, "down"});
  }
  EXPECT_EQ(started.size(), 4u);
}

TEST_F(PrefetcherTest, ARemovedNameDoesNotStartNorComeBack) {
  prefetcher.add(name(0), kOperator, 1min);
  prefetcher.add(name(1), kOperator);
  prefetcher.remove(name(0));
  clock.advance(2min);
  ASSERT_EQ(started.size(), 1u);
  prefetcher.remove(name(1));
  finish(0, Error{ErrorCode::kThrottled, "budget"});
  clock.advance(24h);
  EXPECT_EQ(started.size(), 1u);
}

TEST_F(PrefetcherTest, OutcomesThatComeAtOnceDoNotGrowTheStack) {
  int count = 0;
  Prefetcher quick(
      {.max_names = 100'000, .max_running = 2},
      [&](const ServerName&, Prefetcher::Done done) {
        ++count;
        done(nullptr);
      },
      clock);
  for (int i = 0; i < 50'000; ++i) quick.add(name(i), kOperator);
  clock.advance(1s);
  EXPECT_EQ(count, 50'000);
}

}  // namespace
}  // namespace latchkey
