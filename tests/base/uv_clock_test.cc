#include "base/uv_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "base/loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class UvClockTest : public testing::Test {
 protected:
  void run_for(Millis time) {
    const Alarm end = loop.clock().after(time, [this] { loop.stop(); });
    loop.run();
  }
  Loop loop;
};

TEST_F(UvClockTest, AlarmsFireInTheirOrderAndThoseOfOneInstantByAge) {
  std::vector<int> fired;
  std::vector<Alarm> alarms;
  for (const auto& [delay, number] :
       std::vector<std::pair<int, int>>{{5, 4}, {1, 1}, {5, 5}, {0, 0}, {3, 2}, {3, 3}}) {
    alarms.push_back(
        loop.clock().after(Millis(delay), [&fired, n = number] { fired.push_back(n); }));
  }
  EXPECT_TRUE(fired.empty());  // never from within the call
  run_for(20ms);
  EXPECT_EQ(fired, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST_F(UvClockTest, WhoWaitsForWhatADueAlarmDoesIsNotLeftAsleep) {
  bool done = false;
  const Alarm alarm = loop.clock().after(1ms, [&] { done = true; });
  std::this_thread::sleep_for(3ms);  // due before the loop's first turn
  loop.run_until([&] { return done; });
  loop.run_until([&] { return done; });
  EXPECT_TRUE(done);
}

TEST_F(UvClockTest, WhatIsCalledOffNeverFires) {
  std::mt19937 random(7);
  std::vector<std::pair<int, Alarm>> alarms;
  std::vector<int> fired, wanted;
  for (int i = 0; i < 500; ++i) {
    const int delay = static_cast<int>(random() % 20);
    alarms.emplace_back(i, loop.clock().after(Millis(delay), [&fired, i] { fired.push_back(i); }));
  }
  std::shuffle(alarms.begin(), alarms.end(), random);
  alarms.resize(200);
  for (const auto& [number, alarm] : alarms) wanted.push_back(number);
  run_for(50ms);
  std::sort(fired.begin(), fired.end());
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(fired, wanted);
}

TEST_F(UvClockTest, AnAlarmMayDestroyItselfAndOthers) {
  Alarm first, second;
  int fired = 0;
  first = loop.clock().after(1ms, [&] {
    ++fired;
    first.reset();
    second.reset();
  });
  second = loop.clock().after(1ms, [&] { ++fired; });
  run_for(10ms);
  EXPECT_EQ(fired, 1);
}

TEST_F(UvClockTest, OneThatIsSetAgainForeverDoesNotHoldUpTheLoop) {
  Alarm again;
  size_t times = 0;
  std::function<void()> set = [&] {
    ++times;
    again = loop.clock().after(0ms, set);
  };
  set();
  run_for(5ms);
  EXPECT_GT(times, 1U);
  again.reset();
}

TEST_F(UvClockTest, ALaterAlarmStillComesWhenTheFirstIsCalledOff) {
  bool fired = false;
  Alarm early = loop.clock().after(2ms, [] {});
  const Alarm late = loop.clock().after(6ms, [&] {
    fired = true;
    loop.stop();
  });
  early.reset();
  loop.run();
  EXPECT_TRUE(fired);
}

}  // namespace
}  // namespace latchkey
