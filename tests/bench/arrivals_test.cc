#include "bench/load/arrivals.h"

#include <gtest/gtest.h>

#include <vector>

namespace latchkey::bench {
namespace {

using Kind = Arrivals::Kind;
using namespace std::chrono_literals;

const Time kBegin = Time{} + 1000s;

// A loop that looks at the clock now and then: which arrivals it begins at each look.
std::vector<size_t> begun_at(Arrivals& arrivals, const std::vector<Time>& looks) {
  std::vector<size_t> begun;
  for (const Time now : looks) {
    begun.push_back(0);
    for (; arrivals.due() <= now; arrivals.advance()) ++begun.back();
  }
  return begun;
}

TEST(ArrivalsTest, EvenOnesComeAtEqualDistances) {
  Arrivals arrivals(1000, Kind::kEven, kBegin);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(arrivals.due(), kBegin + i * 1ms);
    arrivals.advance();
  }
}

TEST(ArrivalsTest, OnesThatNoThousandthDividesDoNotDriftApart) {
  Arrivals arrivals(3, Kind::kEven, kBegin);
  for (int i = 0; i < 30'000; ++i) arrivals.advance();
  EXPECT_NEAR(static_cast<double>((arrivals.due() - kBegin - 10'000s).count()), 0, 2);
}

TEST(ArrivalsTest, AStallMovesNoLaterArrival) {
  Arrivals arrivals(100, Kind::kEven, kBegin);
  // Nobody looks for half a second: fifty are due then, and the next one comes when it was planned.
  EXPECT_EQ(begun_at(arrivals, {kBegin, kBegin + 500ms, kBegin + 505ms, kBegin + 510ms}),
            (std::vector<size_t>{1, 50, 0, 1}));
  EXPECT_EQ(arrivals.due(), kBegin + 520ms);
}

TEST(ArrivalsTest, LanesAlternateAndMakeTheRateTogether) {
  Arrivals first(200, Kind::kEven, kBegin, 0, 2), second(200, Kind::kEven, kBegin, 1, 2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(first.due(), kBegin + i * 10ms);
    EXPECT_EQ(second.due(), kBegin + i * 10ms + 5ms);
    first.advance();
    second.advance();
  }
}

TEST(ArrivalsTest, RandomOnesHaveTheRateAndItsVariance) {
  Arrivals arrivals(500, Kind::kPoisson, kBegin);
  std::vector<Time> looks;
  for (int second = 1; second <= 400; ++second) looks.push_back(kBegin + second * 1s);
  const auto counts = begun_at(arrivals, looks);
  double sum = 0, squares = 0;
  for (const size_t count : counts) {
    sum += static_cast<double>(count);
    squares += static_cast<double>(count) * static_cast<double>(count);
  }
  const double mean = sum / 400;
  EXPECT_NEAR(mean, 500, 5);
  // Of independent arrivals the variance is the mean.
  EXPECT_NEAR((squares / 400 - mean * mean) / mean, 1, 0.3);
}

TEST(ArrivalsTest, RandomOnesAreTheSameInEachRunButNotInEachLaneOrStream) {
  Arrivals one(500, Kind::kPoisson, kBegin), again(500, Kind::kPoisson, kBegin);
  Arrivals other_lane(500, Kind::kPoisson, kBegin, 1), beside(500, Kind::kPoisson, kBegin, 0, 1, 1);
  EXPECT_EQ(one.due(), again.due());
  EXPECT_NE(one.due(), other_lane.due());
  EXPECT_NE(one.due(), beside.due());
}

}  // namespace
}  // namespace latchkey::bench
