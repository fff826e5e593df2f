#include "ondemand/staple_times.h"

#include <gtest/gtest.h>

#include <memory>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class StapleTimesTest : public testing::Test {
 protected:
  // The wait until the refresh of a staple from `age` ago.
  Millis refresh_in(std::chrono::seconds life, std::chrono::seconds age = 0s) {
    Staple staple;
    staple.this_update = now - age;
    staple.next_update = staple.this_update + life;
    return refresh_at(staple, now, random) - now;
  }
  Millis retry_in(int tries, std::chrono::seconds left = 0s) {
    Staple staple;
    staple.next_update = now + left;
    return retry_wait(tries, left > 0s ? std::make_shared<const Staple>(staple) : nullptr, now,
                      random);
  }
  static void expect_about(Millis wait, Millis expected) {
    EXPECT_GE(wait, expected * 9 / 10 - 1s);
    EXPECT_LE(wait, expected * 11 / 10 + 1s);
  }

  const WallTime now{std::chrono::hours(500'000)};
  std::minstd_rand random{7};
};

TEST_F(StapleTimesTest, ARefreshComesAtHalfOfTheLife) {
  for (int i = 0; i < 100; ++i) expect_about(refresh_in(96h), 48h);
  expect_about(refresh_in(96h, 12h) + 12h, 48h);
}

TEST_F(StapleTimesTest, WhereHalfHasPassedItComesAtHalfOfWhatIsLeft) {
  expect_about(refresh_in(96h, 76h), 10h);
}

TEST_F(StapleTimesTest, ARefreshComesWithinAWeekAndNotAtOnce) {
  expect_about(refresh_in(24h * 365), 24h * 7);
  EXPECT_GE(refresh_in(2s), 5s);
  EXPECT_GE(refresh_in(96h, 96h - 1s), 5s);
}

TEST_F(StapleTimesTest, RetriesAreAMinuteApartDoublingToAnHour) {
  expect_about(retry_in(1), 1min);
  expect_about(retry_in(2), 2min);
  expect_about(retry_in(6), 32min);
  expect_about(retry_in(7), 60min);
  expect_about(retry_in(1'000'000), 60min);
}

TEST_F(StapleTimesTest, RetriesAreCloserWhileTheStapleIsAboutToEnd) {
  expect_about(retry_in(7, 40h), 60min);
  expect_about(retry_in(7, 20min), 5min);
  expect_about(retry_in(7, 4s), 10s);
}

}  // namespace
}  // namespace latchkey
