#include "ondemand/renewal_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace latchkey {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr auto kDay = 24h;
const WallTime kStart{seconds(1'800'000'000)};
const WallTime kEnd = kStart + 90 * kDay;

class RenewalPlanTest : public testing::Test {
 protected:
  RenewalPlan planned() { return first_plan(rules, kStart, kEnd, kStart, random); }
  void adopt(RenewalPlan& plan, WallTime from, WallTime to, WallTime now = kStart) {
    const RenewalWindow window{from, to};
    adopt_window(plan, window, kStart, kEnd, rules, now, random);
  }
  bool by_life(WallTime at) const {
    return at >= kEnd - 30 * kDay - 1h - 2 * kDay && at <= kEnd - 30 * kDay + 1h + 2 * kDay;
  }

  RenewalRules rules;
  std::minstd_rand random{3};
};

TEST_F(RenewalPlanTest, TheFirstPlanIsTwoThirdsOfTheLifeAndAsksTheCaAtOnce) {
  WallTime least = WallTime::max(), most = WallTime::min();
  for (int i = 0; i < 1000; ++i) {
    const RenewalPlan plan = planned();
    EXPECT_EQ(plan.look_at, kStart);
    EXPECT_EQ(plan.poll_at, kStart);
    EXPECT_FALSE(plan.window);
    EXPECT_TRUE(by_life(plan.renew_at));
    least = std::min(least, plan.renew_at);
    most = std::max(most, plan.renew_at);
  }
  EXPECT_GE(most - least, 3 * kDay) << "spread over four hundredths of the life";
}

TEST_F(RenewalPlanTest, WhatWasDatedBackByMostOfItsLifeIsNotDueAtOnce) {
  const WallTime now = kStart + 80 * kDay;
  for (int i = 0; i < 100; ++i) {
    const WallTime at = first_plan(rules, kStart, kEnd, now, random).renew_at;
    EXPECT_GE(at, now + 3 * kDay);
    EXPECT_LE(at, now + 4 * kDay);
  }
  const WallTime late = kEnd + kDay;
  EXPECT_EQ(first_plan(rules, kStart, kEnd, late, random).renew_at, late + 10s);
}

TEST_F(RenewalPlanTest, ShortLivesAreRenewedAtHalf) {
  for (int i = 0; i < 100; ++i) {
    const WallTime at = renewal_by_life(rules, kStart, kStart + 160h, random);
    EXPECT_GE(at, kStart + 76h);
    EXPECT_LE(at, kStart + 84h);
  }
}

TEST_F(RenewalPlanTest, WhateverIsConfiguredTheInstantLiesWithinTheLife) {
  for (const double remaining : {0.0, 0.001, 0.5, 0.999, 1.0, 2.0}) {
    for (const seconds life : {0s, 1s, 60s, 300s, 86'400s, 7'776'000s}) {
      rules.remaining = remaining;
      for (int i = 0; i < 20; ++i) {
        const WallTime at = renewal_by_life(rules, kStart, kStart + life, random);
        EXPECT_GE(at, kStart);
        EXPECT_LE(at, kStart + life);
      }
    }
  }
}

TEST_F(RenewalPlanTest, AnInstantIsChosenOnceInAWindow) {
  RenewalPlan plan = planned();
  adopt(plan, kStart + 50 * kDay, kStart + 52 * kDay);
  const WallTime chosen = plan.renew_at;
  EXPECT_GE(chosen, kStart + 50 * kDay);
  EXPECT_LE(chosen, kStart + 52 * kDay);
  for (int i = 0; i < 100; ++i) {
    adopt(plan, kStart + 50 * kDay, kStart + 52 * kDay, kStart + i * kDay / 2);
    EXPECT_EQ(plan.renew_at, chosen);
  }
}

TEST_F(RenewalPlanTest, TheInstantsAreSpreadOverTheWholeWindow) {
  std::array<int, 10> tenths{};
  for (int i = 0; i < 10'000; ++i) {
    RenewalPlan plan = planned();
    adopt(plan, kStart + 50 * kDay, kStart + 60 * kDay);
    ++tenths.at(static_cast<size_t>(
        std::min<int64_t>(9, (plan.renew_at - kStart - 50 * kDay) / seconds(kDay))));
  }
  for (const int count : tenths) {
    EXPECT_GE(count, 850);
    EXPECT_LE(count, 1150);
  }
}

TEST_F(RenewalPlanTest, AWindowThatMovedIsChosenInAgain) {
  RenewalPlan plan = planned();
  adopt(plan, kStart + 50 * kDay, kStart + 52 * kDay);
  adopt(plan, kStart + 10 * kDay, kStart + 12 * kDay);
  EXPECT_GE(plan.renew_at, kStart + 10 * kDay);
  EXPECT_LE(plan.renew_at, kStart + 12 * kDay);
  adopt(plan, kStart + 60 * kDay, kStart + 61 * kDay);
  EXPECT_GE(plan.renew_at, kStart + 60 * kDay);
}

TEST_F(RenewalPlanTest, AWindowThatHasPassedIsNow) {
  RenewalPlan plan = planned();
  const WallTime now = kStart + 5 * kDay;
  adopt(plan, kStart + 1 * kDay, kStart + 2 * kDay, now);
  EXPECT_EQ(plan.renew_at, now);
  adopt(plan, kStart + 1 * kDay, kStart + 2 * kDay, now + 1h);
  EXPECT_EQ(plan.renew_at, now) << "chosen once";
}

TEST_F(RenewalPlanTest, EmptyAndInvertedWindowsChangeNothing) {
  RenewalPlan plan = planned();
  const RenewalPlan before = plan;
  adopt(plan, kStart + 10 * kDay, kStart + 10 * kDay);
  EXPECT_EQ(plan, before);
  adopt(plan, kStart + 11 * kDay, kStart + 10 * kDay);
  EXPECT_EQ(plan, before);
  RenewalPlan none;
  adopt(none, kStart + 10 * kDay, kStart + 10 * kDay);
  EXPECT_TRUE(by_life(none.renew_at));
}

TEST_F(RenewalPlanTest, AWindowBehindTheEndCountsAsNone) {
  for (const auto& [from, to] :
       {std::pair{kEnd + kDay, kEnd + 2 * kDay}, std::pair{kEnd - kDay, kEnd + kDay},
        std::pair{kStart + 3650 * kDay, kStart + 3660 * kDay}}) {
    RenewalPlan plan = planned();
    adopt(plan, from, to);
    EXPECT_TRUE(by_life(plan.renew_at));
    const WallTime chosen = plan.renew_at;
    adopt(plan, from, to);
    EXPECT_EQ(plan.renew_at, chosen);
  }
}

TEST_F(RenewalPlanTest, OfTheLastTenthOfTheLifeNothingIsChosen) {
  for (int i = 0; i < 1000; ++i) {
    RenewalPlan plan = planned();
    adopt(plan, kStart + 70 * kDay, kEnd + 100 * kDay);
    EXPECT_GE(plan.renew_at, kStart + 70 * kDay);
    EXPECT_LE(plan.renew_at, kStart + 81 * kDay);
  }
}

TEST_F(RenewalPlanTest, TheLastQuarterIsUrgent) {
  EXPECT_FALSE(is_urgent(kStart, kEnd, kStart));
  EXPECT_FALSE(is_urgent(kStart, kEnd, kEnd - 23 * kDay));
  EXPECT_TRUE(is_urgent(kStart, kEnd, kEnd - 22 * kDay));
  EXPECT_TRUE(is_urgent(kStart, kEnd, kEnd + kDay));
  EXPECT_FALSE(is_urgent(kStart, kEnd, urgent_from(kStart, kEnd)));
  EXPECT_TRUE(is_urgent(kStart, kEnd, urgent_from(kStart, kEnd) + 1s));
}

TEST_F(RenewalPlanTest, RetriesAreATenthOfTheLifeApartADayAtMost) {
  EXPECT_EQ(retry_cap(kStart, kEnd), Millis(24h));
  EXPECT_EQ(retry_cap(kStart, kStart + 160h), Millis(16h));
  EXPECT_EQ(retry_cap(kStart, kStart + 5min), Millis(30s));
  EXPECT_EQ(retry_cap(kStart, kStart + 1min), Millis(10s));
  EXPECT_EQ(retry_cap(kStart, kStart), Millis(10s));
}

TEST_F(RenewalPlanTest, ADenialCountsADayLaterOrSoonerForShortLives) {
  EXPECT_EQ(denial_counts_at(kStart + 60 * kDay, kEnd), kStart + 61 * kDay);
  EXPECT_EQ(denial_counts_at(kStart, kStart + 8h), kStart + 2h);
  EXPECT_EQ(denial_counts_at(kEnd + kDay, kEnd), kEnd + kDay + 10s);
}

TEST_F(RenewalPlanTest, WhatAClockThatRanAheadHasWrittenIsPutRight) {
  const WallTime now = kStart + 10 * kDay;
  const auto correct = [&](RenewalPlan& plan) {
    return correct_times(plan, kStart, kEnd, rules, now, random);
  };
  RenewalPlan good = planned();
  good.look_at = good.renew_at;
  good.poll_at = RenewalPlan::kNever;
  EXPECT_FALSE(correct(good));

  RenewalPlan polled = good;
  polled.poll_at = now + 365 * kDay;
  EXPECT_TRUE(correct(polled));
  EXPECT_EQ(polled.poll_at, now);

  RenewalPlan retried = good;
  retried.look_at = now + 366 * kDay;
  EXPECT_TRUE(correct(retried));
  EXPECT_EQ(retried.look_at, now);

  RenewalPlan asleep = good;
  asleep.look_at = RenewalPlan::kNever;
  EXPECT_TRUE(correct(asleep)) << "it is left alone though it is not yet due";
  EXPECT_EQ(asleep.look_at, now);
  asleep.renew_at = now - 1h;
  asleep.look_at = RenewalPlan::kNever;
  EXPECT_FALSE(correct(asleep));

  RenewalPlan denied = good;
  denied.denied_since = now + 365 * kDay;
  denied.renew_at = denied.look_at = RenewalPlan::kNever;
  EXPECT_TRUE(correct(denied));
  EXPECT_FALSE(denied.denied_since);
  EXPECT_TRUE(by_life(denied.renew_at));
  EXPECT_EQ(denied.look_at, now);

  RenewalPlan given_up = good;
  given_up.denied_since = now - kDay;
  given_up.renew_at = given_up.look_at = RenewalPlan::kNever;
  EXPECT_TRUE(is_given_up(given_up));
  EXPECT_FALSE(correct(given_up));

  RenewalPlan empty;
  EXPECT_TRUE(correct(empty));
  EXPECT_TRUE(by_life(empty.renew_at));
  EXPECT_EQ(empty.look_at, now);
}

}  // namespace
}  // namespace latchkey
