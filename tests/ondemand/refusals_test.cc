#include "ondemand/refusals.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class RefusalsTest : public testing::Test {
 protected:
  static ServerName name(int i) { return *ServerName::parse("n" + std::to_string(i) + ".test"); }
  static Error denied() { return {ErrorCode::kDenied, "no"}; }
  static Error failed() { return {ErrorCode::kProtocol, "failed"}; }

  TimePoint now{1h};
  Refusals refusals{10};
};

TEST_F(RefusalsTest, AFloodOfDenialsDoesNotPushOutWhatFailed) {
  refusals.remember_failure(name(0), failed(), now);
  for (int i = 1; i < 1000; ++i) refusals.remember_denial(name(i), denied(), now + 1min);
  ASSERT_NE(refusals.find(name(0), now), nullptr);
  EXPECT_EQ(refusals.failures(name(0)), 1);
  EXPECT_EQ(refusals.size(), 11u);
  EXPECT_EQ(refusals.find(name(1), now), nullptr);  // the oldest made room
  EXPECT_NE(refusals.find(name(999), now), nullptr);
}

TEST_F(RefusalsTest, TheWaitGrowsWithFailuresAndNotWithTroubleAtTheCa) {
  const Millis waits[] = {1min, 10min, 100min, 24h, 24h};
  for (const Millis wait : waits) {
    refusals.remember_failure(name(0), failed(), now);
    EXPECT_NE(refusals.find(name(0), now + wait - 1ms), nullptr);
    EXPECT_EQ(refusals.find(name(0), now + wait), nullptr);
  }
  for (int i = 0; i < 10; ++i) {
    refusals.remember_trouble(name(1), {ErrorCode::kIo, "down"}, now);
    EXPECT_EQ(refusals.find(name(1), now + 15s), nullptr);
  }
  EXPECT_EQ(refusals.failures(name(1)), 0);
}

TEST_F(RefusalsTest, WhatTheOtherSideAsksForIsGranted) {
  Error throttled{ErrorCode::kThrottled, "rateLimited"};
  throttled.retry_after = 1h;
  refusals.remember_trouble(name(0), throttled, now);
  EXPECT_NE(refusals.find(name(0), now + 59min), nullptr);
  EXPECT_EQ(refusals.find(name(0), now + 1h), nullptr);
}

TEST_F(RefusalsTest, ADenialBetweenFailuresKeepsTheirCount) {
  refusals.remember_failure(name(0), failed(), now);
  refusals.remember_denial(name(0), denied(), now + 1min);
  EXPECT_EQ(refusals.failures(name(0)), 1);
  refusals.remember_denial(name(1), denied(), now + 1min);
  refusals.forget_denials();
  EXPECT_EQ(refusals.find(name(0), now), nullptr);
  EXPECT_EQ(refusals.find(name(1), now), nullptr);
  EXPECT_EQ(refusals.failures(name(0)), 1);
  EXPECT_EQ(refusals.size(), 1u);
}

}  // namespace
}  // namespace latchkey
