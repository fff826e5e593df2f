#include "ondemand/budget_keeper.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class BudgetKeeperTest : public testing::Test {
 protected:
  // One process's life.
  struct Side {
    Side(FakeStore& store, ManualClock& clock, Log& log) : keeper(budget, store, clock, log) {}
    static IssuerLimits limits() {
      IssuerLimits limits;
      limits.orders = Rate{10, 36s};
      return limits;
    }
    Budget budget{{{"ca", limits()}}, std::nullopt};
    BudgetKeeper keeper;
  };

  BudgetKeeperTest() {
    store.clock = &clock;
    store.delay = 1ms;
    start();
  }
  void start() {
    side = std::make_unique<Side>(store, clock, log);
    Task<> loading = side->keeper.load();
    loading.start();
    clock.advance(5ms);
  }
  bool take(const std::string& name) {
    OrderPlan plan{*ServerName::parse(name), "test"};
    const bool taken = side->budget.take(0, plan, clock.now());
    side->keeper.changed();
    return taken;
  }
  size_t taken_until_empty() {
    size_t count = 0;
    while (count < 100 && take("n" + std::to_string(count) + ".test")) ++count;
    return count;
  }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  FakeStore store;
  std::unique_ptr<Side> side;
};

TEST_F(BudgetKeeperTest, TheNextProcessGoesOnWithWhatIsLeft) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(take("a.test"));
  clock.advance(1s);
  start();
  EXPECT_EQ(taken_until_empty(), 6u);
}

TEST_F(BudgetKeeperTest, AnOrderlyEndLosesNothing) {
  store.clock = nullptr;  // accepted is as good as done, as with a real store
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(take("a.test"));
  side.reset();  // at once, before the write behind was due
  start();
  EXPECT_EQ(taken_until_empty(), 6u);
}

TEST_F(BudgetKeeperTest, WhatWasGivenBackIsThereAfterARestart) {
  const OrderPlan plan{*ServerName::parse("a.test"), "test"};
  EXPECT_TRUE(take("a.test"));
  clock.advance(1s);
  side->budget.give_back(0, plan, Budget::Unused::kOrder);
  side->keeper.changed();
  clock.advance(1s);
  start();
  EXPECT_EQ(taken_until_empty(), 10u);
}

TEST_F(BudgetKeeperTest, AHoldOutlivesARestart) {
  side->budget.hold(0, LimitKind::kRequests, "newOrder", clock.now() + 1h);
  side->keeper.changed();
  clock.advance(1s);
  start();
  EXPECT_FALSE(take("a.test"));
  EXPECT_GT(side->budget.request_at(0, "newOrder", clock.now()), clock.now() + 59min);
  clock.advance(1h);
  EXPECT_TRUE(take("a.test"));
}

TEST_F(BudgetKeeperTest, ChangesAreWrittenTogether) {
  for (int i = 0; i < 8; ++i) take("a.test");
  clock.advance(1s);
  EXPECT_LE(store.bucket_puts, 2);
}

TEST_F(BudgetKeeperTest, WhatAStoreRefusedIsWrittenWhenItWorksAgain) {
  store.broken = Error{ErrorCode::kIo, "disk full"};
  take("a.test");
  clock.advance(1s);
  EXPECT_TRUE(store.buckets.empty());
  store.broken.reset();
  clock.advance(6s);
  EXPECT_FALSE(store.buckets.empty());
  const int writes = store.writes;
  clock.advance(1min);
  EXPECT_EQ(store.writes, writes);
}

TEST_F(BudgetKeeperTest, NothingIsKnownUntilTheRowsWereRead) {
  store.broken = Error{ErrorCode::kIo, "disk full"};
  Side fresh(store, clock, log);
  Task<> first = fresh.keeper.load();
  Task<> second = fresh.keeper.load();
  first.start();
  second.start();
  clock.advance(1s);
  ASSERT_TRUE(first.done() && second.done());
  EXPECT_FALSE(first.outcome().has_value());
  EXPECT_FALSE(fresh.keeper.loaded());
  store.broken.reset();
  Task<> again = fresh.keeper.load();
  again.start();
  clock.advance(1s);
  EXPECT_TRUE(fresh.keeper.loaded());
}

}  // namespace
}  // namespace latchkey
