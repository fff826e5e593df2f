#include "base/breaker.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class BreakerTest : public testing::Test {
 protected:
  void fail(int times) {
    for (int i = 0; i < times; ++i) breaker.failed(now);
  }

  Breaker breaker{Breaker::Options{5, 2000ms}};
  TimePoint now{1h};
};

TEST_F(BreakerTest, LetsEverybodyAskWhileThereAreAnswers) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(breaker.admit(now));
    fail(4);
    breaker.succeeded();
  }
  EXPECT_FALSE(breaker.open());
  EXPECT_EQ(breaker.wait(now), 0ms);
  EXPECT_LE(breaker.retry_at(), now);
}

TEST_F(BreakerTest, OpensAtTheFifthFailureInARow) {
  fail(4);
  EXPECT_FALSE(breaker.open());
  EXPECT_TRUE(breaker.admit(now));
  fail(1);
  EXPECT_TRUE(breaker.open());
  EXPECT_FALSE(breaker.admit(now));
  EXPECT_EQ(breaker.wait(now), 2s);
  EXPECT_EQ(breaker.retry_at(), now + 2s);
}

TEST_F(BreakerTest, OneMayTryEveryTwoSeconds) {
  fail(5);
  for (int i = 0; i < 5; ++i) {
    now += 1999ms;
    EXPECT_FALSE(breaker.admit(now));
    now += 1ms;
    EXPECT_TRUE(breaker.admits(now));
    EXPECT_TRUE(breaker.admit(now));
    EXPECT_FALSE(breaker.admits(now)) << "one only";
    EXPECT_FALSE(breaker.admit(now));
  }
}

TEST_F(BreakerTest, ASuccessClosesItForAll) {
  fail(50);
  now += 2s;
  EXPECT_TRUE(breaker.admit(now));
  breaker.succeeded();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(breaker.admit(now));
  fail(4);
  EXPECT_FALSE(breaker.open()) << "counting begins anew";
}

TEST_F(BreakerTest, AFailedTryPutsOffTheNext) {
  fail(5);
  now += 10s;
  EXPECT_LE(breaker.retry_at(), now);
  fail(1);
  EXPECT_EQ(breaker.retry_at(), now + 2s);
}

TEST_F(BreakerTest, NobodyAsksDuringAHold) {
  breaker.hold(now + 60s);
  breaker.hold(now + 30s);
  EXPECT_TRUE(breaker.held(now));
  EXPECT_FALSE(breaker.open());
  breaker.succeeded();  // an answer to an earlier question
  EXPECT_FALSE(breaker.admit(now + 59'999ms));
  EXPECT_EQ(breaker.wait(now), 60s);
  EXPECT_TRUE(breaker.admit(now + 60s));
  EXPECT_TRUE(breaker.admit(now + 60s));
}

TEST_F(BreakerTest, NoProbeGoesOutDuringAHold) {
  fail(5);
  breaker.hold(now + 60s);
  EXPECT_FALSE(breaker.admit(now + 59'999ms));
  EXPECT_TRUE(breaker.admit(now + 60s));
  EXPECT_FALSE(breaker.admit(now + 60s)) << "one only";
}

}  // namespace
}  // namespace latchkey
