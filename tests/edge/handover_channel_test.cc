#include "edge/handover_channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "base/check.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

class HandoverChannelTest : public ::testing::Test {
 protected:
  HandoverChannelTest() {
    auto ends = HandoverChannel::make();
    CHECK(ends.has_value());
    old_.emplace(std::move(ends->first));
    new_.emplace(std::move(ends->second));
  }
  std::optional<HandoverChannel> old_, new_;
};

TEST_F(HandoverChannelTest, MessagesComeWholeAndInTheirOrder) {
  ASSERT_TRUE(old_->send("one"));
  ASSERT_TRUE(old_->send("two words"));
  EXPECT_EQ(*new_->wait(Millis(1000)), "one");
  EXPECT_EQ(*new_->wait(Millis(1000)), "two words");
  const auto nothing = new_->wait(Millis(1));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::kTimeout);
}

// What it has said before counts.
TEST_F(HandoverChannelTest, TheEndOfTheOtherSideIsKnownFromSilence) {
  ASSERT_TRUE(old_->send("last words"));
  old_.reset();
  EXPECT_EQ(*new_->wait(Millis(1000)), "last words");
  const auto end = new_->wait(Millis(1000));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kIo);
  EXPECT_FALSE(new_->send("anybody?"));
}

// The kernel tells that by another error.
TEST_F(HandoverChannelTest, AnEndWithoutReadingIsOne) {
  ASSERT_TRUE(new_->send("unread"));
  old_.reset();
  const auto end = new_->wait(Millis(1000));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kIo);
}

TEST_F(HandoverChannelTest, WhatDoesNotFitWaitsUpToABound) {
  const std::string message(HandoverChannel::kMaxMessage, 'x');
  size_t sent = 0;
  while (old_->send(message)) ASSERT_LT(++sent, 10'000u);
  test::TestLoop loop;
  old_->listen(loop.uv(), {[](const std::string&) {}, [] {}});
  size_t got = 0;
  std::atomic<bool> over = false;
  std::thread reader([&] {
    while (got < sent && new_->wait(Millis(10'000))) ++got;
    over = true;
  });
  loop.run_until([&] { return over.load(); });
  reader.join();
  EXPECT_EQ(got, sent);
  old_.reset();
}

}  // namespace
}  // namespace latchkey::edge
