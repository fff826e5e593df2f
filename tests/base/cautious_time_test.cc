#include "base/cautious_time.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class JumpingClock final : public Clock {
 public:
  TimePoint now() const override { return steady; }
  WallTime wall_now() const override { return wall; }
  Alarm after(Millis, std::function<void()>) override { return {}; }
  void pass(std::chrono::seconds time) {
    steady += time;
    wall += time;
  }

  TimePoint steady{};
  WallTime wall{24h * 20'000};
};

TEST(CautiousTime, ATimeThatPassesIsBelieved) {
  JumpingClock clock;
  CautiousTime time(clock);
  for (const auto step : {0s, 1s, 3600s, 86'400s * 400}) {
    clock.pass(step);
    clock.wall += 10min;  // a clock that is set right
    EXPECT_EQ(time.now(), clock.wall);
  }
}

TEST(CautiousTime, AJumpForwardIsBelievedAfterADay) {
  JumpingClock clock;
  CautiousTime time(clock);
  clock.wall += 24h * 365;
  for (int hour = 0; hour < 24; ++hour) {
    EXPECT_EQ(time.now(), clock.wall - 24h * 365);
    clock.pass(1h);
  }
  EXPECT_EQ(time.now(), clock.wall);
}

TEST(CautiousTime, AJumpThatIsTakenBackLeavesNothing) {
  JumpingClock clock;
  CautiousTime time(clock);
  clock.wall += 24h * 365;
  time.now();
  clock.pass(1h);
  clock.wall -= 24h * 365;
  EXPECT_EQ(time.now(), clock.wall);
  clock.pass(23h);
  clock.wall += 24h * 365;
  EXPECT_EQ(time.now(), clock.wall - 24h * 365) << "its day begins anew";
}

TEST(CautiousTime, AJumpBackIsBelievedAtOnce) {
  JumpingClock clock;
  CautiousTime time(clock);
  clock.wall -= 24h * 365;
  EXPECT_EQ(time.now(), clock.wall);
  clock.pass(1h);
  EXPECT_EQ(time.now(), clock.wall);
}

}  // namespace
}  // namespace latchkey
