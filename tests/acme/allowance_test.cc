#include "acme/allowance.h"

#include <gtest/gtest.h>

#include <vector>

#include "acme/issuance.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

Task<> ask(Allowance& allowance, Clock& clock, int times, std::vector<TimePoint>& made) {
  for (int i = 0; i < times; ++i) {
    co_await allowance.take();
    made.push_back(clock.now());
  }
  co_return Unit{};
}

TEST(AllowanceTest, NoMoreThanTwentyRequestsInAny25Seconds) {
  ManualClock clock;
  Allowance allowance(clock);
  std::vector<TimePoint> made;
  Task<> task = ask(allowance, clock, 100, made);
  task.start();
  EXPECT_EQ(made.size(), 20u) << "at once";
  while (!task.done()) clock.advance(1s);
  for (size_t i = 20; i < made.size(); ++i) EXPECT_GE(made[i] - made[i - 20], 25s);
  EXPECT_EQ(made.back() - made.front(), 100s) << "and no slower than that";
}

TEST(AllowanceTest, WhatOthersAskedForUsCounts) {
  ManualClock clock;
  Allowance allowance(clock);
  allowance.note(18);
  EXPECT_EQ(allowance.left(), 2u);
  allowance.note(1000);
  EXPECT_EQ(allowance.left(), 0u);
  std::vector<TimePoint> made;
  Task<> task = ask(allowance, clock, 1, made);
  task.start();
  clock.advance(24999ms);
  EXPECT_TRUE(made.empty());
  clock.advance(1ms);
  EXPECT_EQ(made.size(), 1u);
  EXPECT_EQ(allowance.left(), 19u);
}

TEST(AllowanceTest, RoomCanBeWaitedFor) {
  ManualClock clock;
  Allowance allowance(clock);
  allowance.note(10);
  clock.advance(5s);
  allowance.note(5);
  Task<> task = allowance.room_for(12);
  task.start();
  EXPECT_FALSE(task.done());
  EXPECT_EQ(allowance.refilled(), 20s);
  clock.advance(20s);
  EXPECT_TRUE(task.done());
}

TEST(AllowanceTest, AWaitCanBeDropped) {
  ManualClock clock;
  Allowance allowance(clock);
  allowance.note(20);
  {
    Task<> task = allowance.take();
    task.start();
    EXPECT_EQ(clock.pending(), 1u);
  }
  EXPECT_EQ(clock.pending(), 0u);
}

// When a poll is due, from the beginning of the polling.
std::vector<Millis> polls(int steps, Millis refilled) {
  Pace pace{Millis(20)};
  std::vector<Millis> due;
  Millis at{0};
  for (; at < refilled && due.size() < 50; --steps) {
    at += pace.next(std::nullopt, steps, refilled - at);
    due.push_back(at);
  }
  return due;
}

TEST(PaceTest, ItDoublesWhereTheAllowanceLasts) {
  const std::vector<Millis> expected{20ms,   60ms,   140ms,   300ms,   620ms,   1260ms,
                                     2540ms, 5100ms, 10100ms, 15100ms, 20100ms, 25100ms};
  EXPECT_EQ(polls(20, 25s), expected);
}

TEST(PaceTest, WithLittleLeftTheStepsGrowFasterSoThatItLasts) {
  for (const int steps : {1, 2, 4, 6, 8}) {
    const std::vector<Millis> due = polls(steps, 25s);
    EXPECT_EQ(due.front(), 20ms) << "a fast CA is still answered fast";
    EXPECT_LE(due.size(), static_cast<size_t>(steps) + 1) << steps;
    EXPECT_GE(due.back(), 20s) << steps;
  }
  EXPECT_EQ(polls(0, 7s), std::vector<Millis>{7s});
  EXPECT_EQ(polls(-5, 7s), std::vector<Millis>{7s});
}

TEST(PaceTest, RetryAfterMakesItSlowerNeverFaster) {
  Pace pace{Millis(20)};
  EXPECT_EQ(pace.next(7s, 10, 25s), 7s);
  EXPECT_EQ(pace.next(0s, 10, 25s), 40ms);
}

}  // namespace
}  // namespace latchkey::acme
