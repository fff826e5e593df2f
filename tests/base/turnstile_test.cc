#include "base/turnstile.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/task_set.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class TurnstileTest : public testing::Test {
 protected:
  // Enters, stays, leaves; writes down what happened.
  Task<> visit(int who, Millis stay, Millis limit = 25s) {
    Result<Turnstile::Pass> pass = co_await turnstile.enter(limit).result();
    log.push_back(pass ? who : -who);
    if (pass && stay > 0ms) co_await sleep(clock, stay);
    co_return Unit{};
  }

  ManualClock clock;
  Turnstile turnstile{clock, 2};
  std::vector<int> log;
  TaskSet tasks;
};

TEST_F(TurnstileTest, LetsThroughTheBoundAndTheRestInOrder) {
  for (int who = 1; who <= 4; ++who) tasks.spawn(visit(who, 1s));
  EXPECT_EQ(log, (std::vector<int>{1, 2}));
  clock.advance(1s);
  EXPECT_EQ(log, (std::vector<int>{1, 2, 3, 4}));
  clock.advance(1s);
  EXPECT_EQ(turnstile.free(), 2u);
}

TEST_F(TurnstileTest, WhoWaitsTooLongIsTurnedAway) {
  tasks.spawn(visit(1, 1h));
  tasks.spawn(visit(2, 1h));
  tasks.spawn(visit(3, 1h, 5s));
  clock.advance(5s);
  EXPECT_EQ(log, (std::vector<int>{1, 2, -3}));
}

TEST_F(TurnstileTest, WhoLeavesTheQueueIsForgotten) {
  tasks.spawn(visit(1, 1s));
  tasks.spawn(visit(2, 1s));
  std::optional<Task<>> third = visit(3, 1s);
  third->start();
  tasks.spawn(visit(4, 1s));
  third.reset();
  clock.advance(1s);
  EXPECT_EQ(log, (std::vector<int>{1, 2, 4}));
}

TEST_F(TurnstileTest, AThousandThatLeaveAtOnceDoNotNest) {
  tasks.spawn(visit(1, 1s));
  tasks.spawn(visit(2, 1s));
  for (int who = 3; who < 100'000; ++who) tasks.spawn(visit(who, 0ms));
  clock.advance(1s);
  EXPECT_EQ(log.size(), 99'999u);
  EXPECT_EQ(turnstile.free(), 2u);
}

}  // namespace
}  // namespace latchkey
