#include "ondemand/order_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

ServerName name_of(const std::string& text) {
  return *ServerName::parse(text);
}

class OrderQueueTest : public testing::Test {
 protected:
  // One who wants an order, and holds its place until told.
  struct Visitor {
    explicit Visitor(Lane lane) : want(lane) {}
    bool in() { return task.done() && task.outcome().has_value(); }
    bool refused() { return task.done() && !task.outcome().has_value(); }
    const Error& error() { return task.outcome().error(); }
    OrderQueue::Place& place() { return *task.outcome(); }
    void leave() { task = {}; }

    Want want;
    Task<OrderQueue::Place> task;
  };

  void make(OrderQueue::Options options, std::vector<Budget::Issuer> issuers = {{"ca", {}}}) {
    visitors.clear();
    queue.reset();
    if (options.max_slow == 0) options.slow_after = 24h;  // few tests are about that
    budget.emplace(std::move(issuers), std::nullopt);
    queue.emplace(std::move(options), *budget, clock);
  }

  Visitor& come(const std::string& name, Lane lane = Lane::kHandshake,
                std::vector<size_t> issuers = {0}, Millis patience = 25s) {
    Visitor& visitor = visitors.emplace_back(lane);
    OrderPlan plan{name_of(name), name.substr(name.find('.') + 1), lane};
    plan.renewal = plan.replaces = lane == Lane::kUrgentRenewal || lane == Lane::kRenewal;
    OrderQueue::Ask ask{std::move(plan), std::move(issuers), clock.now() + patience};
    visitor.task = queue->enter(std::move(ask), visitor.want);
    visitor.task.start();
    return visitor;
  }
  Visitor& come(Lane lane = Lane::kHandshake) {
    return come(
        "n" + std::to_string(visitors.size()) + ".d" + std::to_string(visitors.size()) + ".test",
        lane);
  }
  size_t waiting(Lane lane) { return queue->view().waiting[static_cast<size_t>(lane)]; }
  static IssuerLimits orders(int64_t burst, Millis interval) {
    IssuerLimits limits;
    limits.orders = Rate{burst, interval};
    return limits;
  }

  ManualClock clock;
  std::optional<Budget> budget;
  std::optional<OrderQueue> queue;
  std::deque<Visitor> visitors;  // go before the queue
};

TEST_F(OrderQueueTest, PlacesAreBoundedAndGivenInOrder) {
  make({.max_orders = 2});
  Visitor &a = come(), &b = come(), &c = come(), &d = come();
  EXPECT_TRUE(a.in() && b.in());
  clock.advance(1ms);
  EXPECT_FALSE(c.task.done() || d.task.done());
  a.leave();
  EXPECT_FALSE(c.task.done()) << "from the loop, not from within ~Place";
  clock.advance(0ms);
  EXPECT_TRUE(c.in());
  EXPECT_FALSE(d.task.done());
  EXPECT_EQ(queue->view().running, 2u);
  EXPECT_EQ(waiting(Lane::kHandshake), 1u);
}

TEST_F(OrderQueueTest, TheMoreUrgentLaneGoesFirst) {
  make({.max_orders = 1});
  Visitor& running = come();
  Visitor &prefetch = come(Lane::kPrefetch), &renewal = come(Lane::kRenewal),
          &retry = come(Lane::kRetry), &urgent = come(Lane::kUrgentRenewal), &visitor = come();
  Visitor* last = &running;
  for (Visitor* next : {&visitor, &urgent, &retry, &renewal, &prefetch}) {
    last->leave();
    clock.advance(0ms);
    EXPECT_TRUE(next->in());
    last = next;
  }
}

TEST_F(OrderQueueTest, SomePlacesAreKeptForRenewals) {
  make({.max_orders = 20});
  for (int i = 0; i < 30; ++i) come();
  clock.advance(0ms);
  EXPECT_EQ(queue->view().running, 18u);
  EXPECT_TRUE(come(Lane::kRenewal).in());
  EXPECT_TRUE(come(Lane::kUrgentRenewal).in());
  Visitor& third = come(Lane::kUrgentRenewal);
  clock.advance(1s);
  EXPECT_FALSE(third.task.done());
}

TEST_F(OrderQueueTest, RetriesHaveHalfOfThePlacesAndPrefetchLeavesAQuarterFree) {
  make({.max_orders = 20});
  for (int i = 0; i < 30; ++i) come(Lane::kRetry);
  clock.advance(0ms);
  EXPECT_EQ(queue->view().running, 10u);
  for (int i = 0; i < 30; ++i) come(Lane::kPrefetch);
  clock.advance(0ms);
  EXPECT_EQ(queue->view().running, 15u);
  EXPECT_TRUE(come().in() && come().in() && come().in());
  EXPECT_FALSE(come().task.done());
  clock.advance(0ms);
  EXPECT_TRUE(come(Lane::kRenewal).in());
}

TEST_F(OrderQueueTest, AnIssuerMayHaveABoundOfItsOwn) {
  make({.max_orders = 10, .max_per_issuer = {1, 0}}, {{"one", {}}, {"two", {}}});
  EXPECT_EQ(come("a.test", Lane::kHandshake, {0, 1}).place().issuer(), 0u);
  EXPECT_EQ(come("b.test", Lane::kHandshake, {0, 1}).place().issuer(), 1u);
  Visitor& only_one = come("c.test", Lane::kHandshake, {0});
  clock.advance(1s);
  EXPECT_FALSE(only_one.task.done());
  EXPECT_TRUE(come("d.test", Lane::kHandshake, {1}).in()) << "it does not stand behind c.test";
  visitors.front().leave();
  clock.advance(0ms);
  EXPECT_TRUE(only_one.in());
}

TEST_F(OrderQueueTest, TheIssuerThatCanGoesBeforeThePreferredOne) {
  make({}, {{"one", orders(1, 1h)}, {"two", {}}});
  EXPECT_EQ(come("a.test", Lane::kHandshake, {0, 1}).place().issuer(), 0u);
  EXPECT_EQ(come("b.test", Lane::kHandshake, {0, 1}).place().issuer(), 1u);
}

TEST_F(OrderQueueTest, WhoWaitsForATokenGoesWhenItComes) {
  make({}, {{"ca", orders(1, 2s)}});
  come();
  Visitor &a = come(), &b = come();
  clock.advance(1999ms);
  EXPECT_FALSE(a.task.done());
  clock.advance(1ms);
  EXPECT_TRUE(a.in());
  EXPECT_FALSE(b.task.done());
  EXPECT_FALSE(come().task.done()) << "b is before it";
  clock.advance(2s);
  EXPECT_TRUE(b.in());
}

TEST_F(OrderQueueTest, WhoWouldWaitInVainIsRefusedAtOnce) {
  make({}, {{"ca", orders(1, 10s)}});
  come();
  Visitor& hasty = come("a.test", Lane::kHandshake, {0}, 9s);
  ASSERT_TRUE(hasty.refused());
  EXPECT_EQ(hasty.error().code, ErrorCode::kThrottled);
  EXPECT_EQ(hasty.error().retry_after, 5500ms) << "in time to wait for the token";
  EXPECT_EQ(hasty.error().message,
            "no order for a.test now: the budget for new orders of the account is used up");
  EXPECT_FALSE(come("a.test", Lane::kHandshake, {0}, 11s).task.done());
}

TEST_F(OrderQueueTest, WhatOnlyTheNamesLimitsForbidIsRefusedInEveryLane) {
  IssuerLimits limits;
  limits.domain = Rate{1, 1h};
  make({}, {{"ca", limits}});
  come("a.one.test");
  Visitor& same = come("b.one.test", Lane::kPrefetch);
  ASSERT_TRUE(same.refused());
  EXPECT_EQ(same.error().retry_after, 1h);
  EXPECT_TRUE(come("a.two.test", Lane::kPrefetch).in());
}

TEST_F(OrderQueueTest, WhoseDomainIsUsedUpWhileItWaitsIsRefusedInItsTurn) {
  IssuerLimits limits;
  limits.domain = Rate{1, 1h};
  make({.max_orders = 1}, {{"ca", limits}});
  come("a.zero.test");
  Visitor& first = come("a.one.test", Lane::kPrefetch);
  for (int i = 0; i < 200; ++i) {
    come("n" + std::to_string(i) + ".one.test", Lane::kPrefetch);
  }
  Visitor& last = come("a.two.test", Lane::kPrefetch);
  visitors.front().leave();
  clock.advance(0ms);
  EXPECT_TRUE(first.in());
  EXPECT_EQ(waiting(Lane::kPrefetch), 201u);
  first.place().ordered();
  first.place().issued();
  first.leave();
  clock.advance(0ms);
  EXPECT_TRUE(last.in());
  EXPECT_EQ(waiting(Lane::kPrefetch), 0u);
}

TEST_F(OrderQueueTest, ALaneThatWaitsForOrdersDoesNotHoldUpRenewals) {
  make({}, {{"ca", orders(1, 1h)}});
  come();
  Visitor& prefetch = come(Lane::kPrefetch);
  clock.advance(1s);
  EXPECT_TRUE(come(Lane::kRenewal).in());
  EXPECT_FALSE(prefetch.task.done());
}

TEST_F(OrderQueueTest, AHeldIssuerDoesNotHoldUpThoseOfAnother) {
  make({}, {{"one", {}}, {"two", {}}});
  budget->hold(0, LimitKind::kRequests, "newOrder", clock.now() + 1h);
  for (int i = 0; i < 100; ++i) come(Lane::kPrefetch);
  clock.advance(0ms);
  EXPECT_TRUE(come("a.test", Lane::kPrefetch, {1}).in());
  Visitor& visitor = come("b.test");
  ASSERT_TRUE(visitor.refused());
  EXPECT_EQ(visitor.error().retry_after, 1h - 12500ms);
}

TEST_F(OrderQueueTest, VisitorsWaitUntilTheirDeadlineAndOthersLonger) {
  make({.max_orders = 1});
  come();
  Visitor &visitor = come(), &retry = come(Lane::kRetry), &renewal = come(Lane::kRenewal);
  clock.advance(24'999ms);
  EXPECT_FALSE(visitor.task.done());
  clock.advance(1ms);
  ASSERT_TRUE(visitor.refused());
  EXPECT_TRUE(retry.refused());
  EXPECT_EQ(visitor.error().code, ErrorCode::kThrottled);
  clock.advance(12h);
  EXPECT_FALSE(renewal.task.done());
}

TEST_F(OrderQueueTest, TheNewestGoFirstOnceTheOldestHasWaitedLong) {
  make({.max_orders = 1});
  Visitor& running = come();
  Visitor &a = come(), &b = come();
  clock.advance(4999ms);
  running.leave();
  clock.advance(0ms);
  EXPECT_TRUE(a.in());
  clock.advance(1ms);
  Visitor& c = come();
  a.leave();
  clock.advance(0ms);
  EXPECT_TRUE(c.in());
  c.leave();
  clock.advance(0ms);
  EXPECT_TRUE(b.in());
}

TEST_F(OrderQueueTest, WhoComesBackIsNotTheNewest) {
  make({.max_orders = 1});
  Visitor& running = come();
  Visitor& herd = come("a.herd.test");
  clock.advance(25s);
  ASSERT_TRUE(herd.refused());
  Visitor& fresh = come("a.fresh.test");
  clock.advance(1s);
  Visitor& back = come("a.herd.test");
  clock.advance(5s);
  running.leave();
  clock.advance(0ms);
  EXPECT_TRUE(fresh.in());
  EXPECT_FALSE(back.task.done());
  fresh.leave();
  clock.advance(0ms);
  EXPECT_TRUE(back.in());
}

TEST_F(OrderQueueTest, TheWaitersNumberIsBounded) {
  make({.max_orders = 1, .max_waiting = 3});
  come();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(come().task.done());
  Visitor& fourth = come();
  ASSERT_TRUE(fourth.refused());
  EXPECT_EQ(fourth.error().code, ErrorCode::kThrottled);
  EXPECT_FALSE(come(Lane::kRenewal).task.done());
}

TEST_F(OrderQueueTest, WhoLeavesIsGoneAtOnce) {
  make({.max_orders = 1});
  come();
  Visitor &a = come(), &b = come();
  EXPECT_EQ(waiting(Lane::kHandshake), 2u);
  a.leave();
  EXPECT_EQ(waiting(Lane::kHandshake), 1u);
  EXPECT_FALSE(a.want.on_change);
  visitors.front().leave();
  clock.advance(0ms);
  EXPECT_TRUE(b.in());
  EXPECT_FALSE(b.want.on_change);
  b.leave();
  EXPECT_EQ(queue->view().running, 0u);
}

TEST_F(OrderQueueTest, AWantThatHasLostItsVisitorsEnds) {
  make({.max_orders = 1});
  come();
  Visitor& a = come();
  clock.advance(20s);
  a.want.set_lane(Lane::kPrefetch);
  EXPECT_EQ(waiting(Lane::kHandshake), 0u);
  EXPECT_FALSE(a.task.done()) << "from the loop, not from within the call";
  clock.advance(0ms);
  ASSERT_TRUE(a.refused());
  EXPECT_EQ(a.error().code, ErrorCode::kThrottled);
}

TEST_F(OrderQueueTest, WhatAnOrderDidNotUseGoesToTheNext) {
  make({}, {{"ca", orders(1, 1h)}});
  Visitor& a = come();
  ASSERT_TRUE(a.in());
  Visitor& b = come(Lane::kUrgentRenewal);
  a.leave();  // the CA was never asked
  clock.advance(0ms);
  EXPECT_TRUE(b.in());
  b.leave();
  Visitor& c = come();
  ASSERT_TRUE(c.in());
  c.place().ordered();
  c.leave();
  EXPECT_TRUE(come().refused());
}

TEST_F(OrderQueueTest, AWantThatIsRaisedMayGoAtOnce) {
  make({}, {{"ca", orders(5, 1h)}});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(come(Lane::kPrefetch).in());
  Visitor& next = come(Lane::kPrefetch);
  clock.advance(1s);
  EXPECT_FALSE(next.task.done()) << "the last token is for handshakes";
  next.want.set_lane(Lane::kHandshake);
  clock.advance(0ms);
  EXPECT_TRUE(next.in());
}

TEST_F(OrderQueueTest, AVisitDoesNotCostARenewalItsTurn) {
  make({.max_orders = 1});
  Visitor& running = come();
  Visitor& visited = come(Lane::kRenewal);
  clock.advance(1s);
  Visitor& other = come(Lane::kRenewal);
  visited.want.set_lane(Lane::kHandshake);
  clock.advance(1s);
  visited.want.set_lane(Lane::kRenewal);
  running.leave();
  clock.advance(0ms);
  EXPECT_TRUE(visited.in());
  EXPECT_FALSE(other.task.done());
}

TEST_F(OrderQueueTest, WhatIsCalledOffFails) {
  make({.max_orders = 1});
  come();
  Visitor& a = come();
  a.want.cancel();
  EXPECT_EQ(waiting(Lane::kHandshake), 0u);
  clock.advance(0ms);
  ASSERT_TRUE(a.refused());
  EXPECT_EQ(a.error().code, ErrorCode::kDenied);
  EXPECT_NE(a.error().message.find("called off"), std::string::npos);
  Visitor& b = visitors.emplace_back(Lane::kHandshake);
  b.want.cancel();
  b.task = queue->enter({{name_of("b.test"), "b.test"}, {0}}, b.want);
  b.task.start();
  EXPECT_TRUE(b.refused());
}

TEST_F(OrderQueueTest, ASlowOrderLeavesTheForeground) {
  make({.max_orders = 1, .max_slow = 1});
  Visitor &slow = come(), &next = come(Lane::kRenewal), &third = come(Lane::kRenewal);
  clock.advance(4999ms);
  EXPECT_FALSE(next.task.done());
  clock.advance(1ms);
  EXPECT_TRUE(next.in());
  EXPECT_EQ(queue->view().slow, 1u);
  next.place().slow();
  clock.advance(6s);
  EXPECT_FALSE(third.task.done()) << "the slow place is taken";
  slow.leave();
  clock.advance(0ms);
  EXPECT_TRUE(third.in()) << "next went into the slow place";
  EXPECT_EQ(queue->view().slow, 1u);
  next.leave();
  third.leave();
  EXPECT_EQ(queue->view().slow + queue->view().running, 0u);
}

TEST_F(OrderQueueTest, SlowRetriesHaveHalfOfTheSlowPlaces) {
  make({.max_orders = 8, .max_slow = 2});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(come(Lane::kRetry).in());
  clock.advance(5s);
  EXPECT_EQ(queue->view().slow, 1u);
  Visitor& visitor = come();
  visitor.place().slow();
  EXPECT_EQ(queue->view().slow, 2u);
  visitor.leave();
  EXPECT_EQ(queue->view().slow, 1u);
  EXPECT_EQ(queue->view().running, 3u);
}

TEST_F(OrderQueueTest, ASecondOrderNeedsTokensOfItsOwn) {
  make({}, {{"ca", orders(2, 1h)}});
  Visitor& a = come();
  EXPECT_TRUE(a.place().take_another());
  EXPECT_FALSE(a.place().take_another());
}

TEST_F(OrderQueueTest, APlaceMovesAndMayBeEmpty) {
  make({.max_orders = 1});
  OrderQueue::Place place;
  EXPECT_FALSE(place);
  Visitor& a = come();
  place = std::move(a.place());
  a.leave();
  EXPECT_TRUE(place);
  EXPECT_EQ(queue->view().running, 1u);
  place = OrderQueue::Place();
  EXPECT_EQ(queue->view().running, 0u);
}

TEST_F(OrderQueueTest, LooksAgainWhenToldThatTheBudgetHasChanged) {
  make({}, {{"ca", orders(1, 1h)}});
  come();
  Visitor& a = come(Lane::kPrefetch);
  EXPECT_FALSE(a.task.done());
  queue->look_again();
  clock.advance(0ms);
  EXPECT_FALSE(a.task.done());
  EXPECT_GT(clock.pending(), 0u) << "the token's alarm is set again";
}

// An order that ends within its own admission must not go round and round on the stack.
TEST_F(OrderQueueTest, TwentyThousandOrdersThatEndAtOnceNeedNoStack) {
  struct Flow {
    static Task<> run(OrderQueue& queue, OrderQueue::Ask ask, Want& want, int& done) {
      Task<OrderQueue::Place> entering = queue.enter(std::move(ask), want);
      const OrderQueue::Place place = co_await std::move(entering);
      ++done;
      co_return Unit{};
    }
  };
  make({.max_orders = 1});
  Visitor& running = come();
  Want want(Lane::kPrefetch);
  std::deque<Want> wants;
  std::deque<Task<>> flows;
  int done = 0;
  for (int i = 0; i < 20'000; ++i) {
    OrderQueue::Ask ask{{name_of("n" + std::to_string(i) + ".test"), "test"}, {0}};
    flows.push_back(Flow::run(*queue, std::move(ask), wants.emplace_back(Lane::kPrefetch), done));
    flows.back().start();
  }
  EXPECT_EQ(waiting(Lane::kPrefetch), 20'000u);
  EXPECT_LE(clock.pending(), 3u) << "one alarm for all, not one each";
  running.leave();
  clock.advance(0ms);
  EXPECT_EQ(done, 20'000);
}

TEST_F(OrderQueueTest, AnAdmissionMayEndOtherWaitersAndBringNewOnes) {
  struct Flow {
    static Task<> run(OrderQueue& queue, OrderQueue::Ask ask, Want& want,
                      std::function<void()> then) {
      Task<OrderQueue::Place> entering = queue.enter(std::move(ask), want);
      const OrderQueue::Place place = co_await std::move(entering);
      then();
      co_return Unit{};
    }
  };
  make({.max_orders = 1});
  Visitor& running = come();
  Want want(Lane::kHandshake);
  OrderQueue::Ask ask{{name_of("a.test"), "test"}, {0}, clock.now() + 25s};
  Visitor *gone = nullptr, *born = nullptr;
  Task<> flow = Flow::run(*queue, std::move(ask), want, [&] {
    gone->leave();
    born = &come();
  });
  flow.start();
  gone = &come();
  Visitor& after = come();
  running.leave();
  clock.advance(0ms);
  EXPECT_TRUE(flow.done());
  EXPECT_TRUE(after.in());
  ASSERT_NE(born, nullptr);
  EXPECT_FALSE(born->task.done());
  EXPECT_EQ(waiting(Lane::kHandshake), 1u);
}

TEST_F(OrderQueueTest, MayBeCancelledAtEachOfItsWaits) {
  for (int moment = 0; moment < 6; ++moment) {
    make({.max_orders = 1}, {{"ca", orders(2, 10s)}});
    Visitor& running = come();
    Visitor& a = come();  // waits for the place
    come();               // waits for the place, then for a token
    if (moment == 1) clock.advance(1s);
    if (moment >= 2) running.leave();
    if (moment >= 3) clock.advance(0ms);
    if (moment >= 4) a.leave();
    if (moment >= 5) clock.advance(1s);
    visitors.clear();
    clock.advance(0ms);
    EXPECT_EQ(queue->view().running, 0u) << moment;
    EXPECT_EQ(waiting(Lane::kHandshake), 0u) << moment;
    queue.reset();
    EXPECT_EQ(clock.pending(), 0u) << moment;
  }
}

}  // namespace
}  // namespace latchkey
