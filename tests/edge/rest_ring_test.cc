#include "edge/http/rest_ring.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class Sleeper final : public RestRing::Member {
 public:
  Sleeper(std::string& story, char name) : story_(story), name_(name) {}
  bool sleeps() const { return in_ring(); }
  void wake() { leave_ring(); }

  std::function<void()> then;

 private:
  void on_rested() override {
    EXPECT_FALSE(in_ring());
    story_ += name_;
    if (then) then();
  }

  std::string& story_;
  const char name_;
};

class RestRingTest : public testing::Test {
 protected:
  TimePoint in(Millis time) const { return clock.now() + time; }

  ManualClock clock;
  RestRing ring{clock};
  std::string story;
};

TEST_F(RestRingTest, OneAlarmServesAllEachAtItsTime) {
  Sleeper a(story, 'a'), b(story, 'b'), c(story, 'c');
  EXPECT_TRUE(ring.join(a, in(60s)));
  clock.advance(10s);
  EXPECT_TRUE(ring.join(b, in(60s)));
  EXPECT_TRUE(ring.join(c, in(60s)));
  EXPECT_EQ(clock.pending(), 1U);
  clock.advance(49'999ms);
  EXPECT_EQ(story, "");
  clock.advance(1ms);
  EXPECT_EQ(story, "a");
  clock.advance(9'999ms);
  EXPECT_EQ(story, "a");
  clock.advance(1ms);
  EXPECT_EQ(story, "abc");
  EXPECT_EQ(clock.pending(), 0U);
}

TEST_F(RestRingTest, WhoWouldBeAskedTooLateIsNotTaken) {
  Sleeper a(story, 'a'), b(story, 'b');
  EXPECT_TRUE(ring.join(a, in(60s)));
  EXPECT_FALSE(ring.join(b, in(59s)));
  EXPECT_FALSE(b.sleeps());
  a.wake();
  // The alarm of who has left would come too late.
  EXPECT_TRUE(ring.join(b, in(10s)));
  clock.advance(10s);
  EXPECT_EQ(story, "b");
  clock.advance(2min);
  EXPECT_EQ(story, "b");
  EXPECT_EQ(clock.pending(), 0U);
}

TEST_F(RestRingTest, WhoIsAskedMayJoinAgainAndEndOthers) {
  Sleeper a(story, 'a');
  auto b = std::make_unique<Sleeper>(story, 'b');
  EXPECT_TRUE(ring.join(a, in(5s)));
  EXPECT_TRUE(ring.join(*b, in(5s)));
  a.then = [&] {
    b.reset();
    EXPECT_TRUE(ring.join(a, in(5s)));
  };
  clock.advance(5s);
  EXPECT_EQ(story, "a");
  clock.advance(5s);
  EXPECT_EQ(story, "aa");
  a.then = nullptr;
  clock.advance(5s);
  EXPECT_EQ(story, "aaa");
  EXPECT_FALSE(a.sleeps());
}

}  // namespace
}  // namespace latchkey::edge
