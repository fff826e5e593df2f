// What rests in the pool, and for how long; making connections is tested through ProxyStream.
#include "edge/upstream/origin_pool.h"

#include <gtest/gtest.h>

#include "tests/edge/scripted_upstream.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class OriginPoolTest : public testing::Test {
 protected:
  std::unique_ptr<OriginStream> connect(const ScriptedUpstream& to) {
    std::unique_ptr<OriginStream> made;
    const auto connecting =
        pool.connect(endpoint(to), "", 5s, [&](Result<std::unique_ptr<OriginStream>> result) {
          ASSERT_TRUE(result);
          made = *std::move(result);
        });
    loop.run_until([&] { return made != nullptr; });
    return made;
  }
  static EndpointPtr endpoint(const ScriptedUpstream& to) {
    auto made = std::make_shared<Endpoint>();
    made->address = "127.0.0.1";
    made->port = to.port();
    made->host = "127.0.0.1:" + std::to_string(to.port());
    made->set_key();
    return made;
  }
  std::unique_ptr<OriginStream> take(const ScriptedUpstream& from) {
    return pool.take(*endpoint(from), false);
  }

  ManualClock clock;
  test::TestLoop loop;
  ScriptedUpstream a{loop.uv()}, b{loop.uv()}, c{loop.uv()};
  OriginPool pool{loop.uv(), clock, {.idle_time = 60s, .max_idle = 2, .max_idle_all = 3}};
};

TEST(FairMaxIdleTest, TheWorkersShareAnEighthOfTheDescriptors) {
  EXPECT_EQ(fair_max_idle(64'000, 16), 500u);
  EXPECT_EQ(fair_max_idle(8'192, 2), 512u);
  EXPECT_EQ(fair_max_idle(1 << 20, 16), 1024u);
  EXPECT_EQ(fair_max_idle(512, 8), 16u);
  EXPECT_EQ(fair_max_idle(0, 0), 16u);
}

TEST_F(OriginPoolTest, TheOneThatRestedLastIsTakenFirst) {
  auto one = connect(a), two = connect(a);
  const OriginStream* const last = two.get();
  pool.give_back(std::move(one));
  pool.give_back(std::move(two));
  EXPECT_EQ(take(b), nullptr);
  EXPECT_EQ(take(a).get(), last);
  EXPECT_EQ(pool.resting(), 1u);
  EXPECT_NE(take(a), nullptr);
  EXPECT_EQ(take(a), nullptr);
  EXPECT_EQ(pool.resting(), 0u);
}

TEST_F(OriginPoolTest, OverABoundTheOneThatRestedLongestIsClosed) {
  auto a1 = connect(a), a2 = connect(a), a3 = connect(a);
  const OriginStream* const second = a2.get();
  pool.give_back(std::move(a1));
  pool.give_back(std::move(a2));
  pool.give_back(std::move(a3));
  EXPECT_EQ(pool.resting(), 2u) << "two for an origin";
  pool.give_back(connect(b));
  pool.give_back(connect(c));
  EXPECT_EQ(pool.resting(), 3u) << "three in all";
  EXPECT_NE(take(a).get(), second) << "it was the oldest";
  EXPECT_EQ(take(a), nullptr);
  EXPECT_NE(take(b), nullptr);
  EXPECT_NE(take(c), nullptr);
}

TEST_F(OriginPoolTest, WhatHasRestedForItsTimeIsClosed) {
  pool.give_back(connect(a));
  clock.advance(31s);
  pool.give_back(connect(b));
  clock.advance(29s);
  EXPECT_EQ(take(a), nullptr);
  EXPECT_EQ(pool.resting(), 1u);
  clock.advance(60s);
  EXPECT_EQ(pool.resting(), 0u);
  EXPECT_EQ(clock.pending(), 0u) << "nothing left to sweep";
}

TEST_F(OriginPoolTest, WhatItsUpstreamClosesIsForgotten) {
  pool.give_back(connect(a));
  pool.give_back(connect(a));
  a.connections.front().hang_up();
  loop.run_until([&] { return pool.resting() == 1; });
  a.connections.back().hang_up();
  loop.run_until([&] { return pool.resting() == 0; });
  EXPECT_EQ(take(a), nullptr);
}

}  // namespace
}  // namespace latchkey::edge
