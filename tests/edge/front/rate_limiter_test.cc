#include "edge/front/rate_limiter.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1'000'000ms};

TEST(RateLimiterTest, ABurstAndThenThePace) {
  RateLimiter limit({.requests = 10, .per = 1s, .burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.take("192.0.2.1", kStart));
  EXPECT_EQ(limit.take("192.0.2.1", kStart), 100ms);
  EXPECT_EQ(limit.take("192.0.2.1", kStart + 60ms), 40ms);
  EXPECT_FALSE(limit.take("192.0.2.1", kStart + 100ms));
  EXPECT_TRUE(limit.take("192.0.2.1", kStart + 100ms));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.take("192.0.2.1", kStart + 10s));
}

TEST(RateLimiterTest, TheBurstIsTheRequestsUnlessItIsSaid) {
  RateLimiter limit({.requests = 2, .per = 1min});
  EXPECT_FALSE(limit.take("192.0.2.1", kStart));
  EXPECT_FALSE(limit.take("192.0.2.1", kStart));
  EXPECT_EQ(limit.take("192.0.2.1", kStart), 30s);
  EXPECT_TRUE(limit.has({.requests = 2, .per = 1min, .burst = 2}));
  EXPECT_FALSE(limit.has({.requests = 2, .per = 1min, .burst = 3}));
}

TEST(RateLimiterTest, AClientIsAnIPv4AddressOrAnIPv6Subscriber) {
  RateLimiter limit({.requests = 1, .per = 1h});
  EXPECT_FALSE(limit.take("192.0.2.1", kStart));
  EXPECT_FALSE(limit.take("192.0.2.2", kStart));
  EXPECT_TRUE(limit.take("::ffff:192.0.2.1", kStart)) << "the same in IPv6's clothes";
  EXPECT_FALSE(limit.take("2001:db8:0:1::1", kStart));
  EXPECT_TRUE(limit.take("2001:db8:0:1:ffff::2", kStart)) << "of the same /64";
  EXPECT_FALSE(limit.take("2001:db8:0:2::1", kStart));
  EXPECT_FALSE(limit.take("no address", kStart));
  EXPECT_TRUE(limit.take("neither", kStart));
}

// Newcomers drive out each other rather than those who have used up what they had.
TEST(RateLimiterTest, AFloodOfAddressesDoesNotWashADebtorAway) {
  RateLimiter limit({.requests = 1, .per = 1s, .burst = 100});
  int used = 0;
  while (!limit.take("192.0.2.1", kStart)) ++used;
  EXPECT_EQ(used, 100);
  size_t let_in = 0;
  for (int i = 0; i < 400'000; ++i) {
    const std::string address = std::to_string(10 + i / 65536) + "." +
                                std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) +
                                ".1";
    if (!limit.take(address, kStart)) ++let_in;
  }
  EXPECT_EQ(let_in, 400'000U) << "strangers do not suffer from a full table";
  EXPECT_TRUE(limit.take("192.0.2.1", kStart));
}

}  // namespace
}  // namespace latchkey::edge
