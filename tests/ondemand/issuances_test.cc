#include "ondemand/issuances.h"

#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class IssuancesTest : public OnDemandTest {
 protected:
  // One who wants a certificate, and what he has heard.
  struct Wanter {
    Wanter(Issuances& issuances, Issuances::Job job, Lane lane)
        : want(lane), task(issuances.issue(std::move(job), want)) {
      task.start();
    }
    bool served() { return task.done() && task.outcome(); }

    Want want;
    Task<CertificatePtr> task;
  };
  static Issuances::Job job(const std::string& text) { return Issuances::Job{name_of(text)}; }
  Issuances::Job renewal(const std::string& text) {
    Issuances::Job out = job(text);
    const WallTime now = clock.wall_now();
    out.predecessor = fake_ca().issue({text}, now - 24h * 60, now + 24h * 30);
    CertificateInfo info{
        0, name_of(text), Slot::kMain, "first", "first-account", "p256", "", {}, {}, {}, {}};
    out.info = info;
    out.renewal = true;
    return out;
  }
};

TEST_F(IssuancesTest, VisitorAndSchedulerShareOneOrder) {
  Wanter scheduler(side->issuances, renewal("a.listed.test"), Lane::kRenewal);
  clock.advance(100ms);
  Wanter visitor(side->issuances, job("a.listed.test"), Lane::kHandshake);
  EXPECT_TRUE(side->issuances.running_for({name_of("a.listed.test")}));
  clock.advance(2s);
  EXPECT_TRUE(scheduler.served());
  EXPECT_TRUE(visitor.served());
  EXPECT_EQ(side->orders(), 1);
  EXPECT_FALSE(side->issuances.running_for({name_of("a.listed.test")}));
}

TEST_F(IssuancesTest, AVisitorMakesAWaitingRenewalUrgent) {
  OnDemandOptions options;
  options.max_orders = 2;
  start(options);
  side->first.takes = 10s;
  Wanter one(side->issuances, job("1.listed.test"), Lane::kHandshake);
  Wanter two(side->issuances, job("2.listed.test"), Lane::kHandshake);
  clock.advance(100ms);
  Wanter prefetch(side->issuances, job("3.listed.test"), Lane::kPrefetch);
  Wanter renewing(side->issuances, renewal("4.listed.test"), Lane::kPrefetch);
  clock.advance(100ms);
  {
    Wanter visitor(side->issuances, job("4.listed.test"), Lane::kHandshake);
    clock.advance(6s);  // orders over five seconds leave the foreground
    ASSERT_TRUE(side->first.last_job);
    EXPECT_EQ(side->orders(), 4);
  }
  clock.advance(20s);
  EXPECT_TRUE(renewing.served());
  EXPECT_TRUE(prefetch.served());
}

TEST_F(IssuancesTest, AnOrderGoesOnWhenWhoWantedItHasLeft) {
  { Wanter visitor(side->issuances, job("left.listed.test"), Lane::kHandshake); }
  clock.advance(3s);
  EXPECT_EQ(store.certificates.count(name_of("left.listed.test")), 1u);
  EXPECT_NE(side->cache.find(name_of("left.listed.test")), nullptr);
}

TEST_F(IssuancesTest, CallingOffEndsTheOrderAndTellsThoseWhoWait) {
  Wanter visitor(side->issuances, job("off.listed.test"), Lane::kHandshake);
  clock.advance(100ms);
  EXPECT_TRUE(side->issuances.call_off(name_of("off.listed.test"),
                                       Error{ErrorCode::kThrottled, "called off"}));
  ASSERT_TRUE(visitor.task.done());
  EXPECT_EQ(visitor.task.outcome().error().message, "called off");
  clock.advance(5s);
  EXPECT_TRUE(store.certificates.empty());
  EXPECT_FALSE(side->issuances.call_off(name_of("off.listed.test"), Error{}));
}

TEST_F(IssuancesTest, ARenewalReplacesWhatIsCachedAndFillsNoMemoryElse) {
  const ServerName cached = name_of("cached.listed.test");
  const ServerName idle = name_of("idle.listed.test");
  Issuances::Job first = renewal(cached.text());
  NameExtras beside;
  beside.grant = std::make_shared<const Grant>(Grant{"http://10.0.0.7:1"});
  side->cache.put(cached, first.predecessor, beside);
  const std::string before = first.predecessor->serial();
  Wanter one(side->issuances, std::move(first), Lane::kRenewal);
  Wanter two(side->issuances, renewal(idle.text()), Lane::kRenewal);
  clock.advance(3s);
  ASSERT_TRUE(one.served());
  ASSERT_TRUE(two.served());
  const CacheHit hit = side->cache.look_up(cached, clock.wall_now());
  ASSERT_NE(hit.certificate, nullptr);
  EXPECT_NE(hit.certificate->serial(), before);
  ASSERT_NE(hit.grant, nullptr);
  EXPECT_EQ(hit.grant->upstream, "http://10.0.0.7:1");
  EXPECT_EQ(side->cache.find(idle), nullptr);
  EXPECT_EQ(side->events.count(event_kind::kRenewed), 2u);
}

TEST_F(IssuancesTest, ARenewalIsOrderedAsOneAtTheCertificatesIssuer) {
  Wanter one(side->issuances, renewal("r.listed.test"), Lane::kRenewal);
  clock.advance(3s);
  ASSERT_TRUE(one.served());
  ASSERT_TRUE(side->first.last_job);
  EXPECT_NE(side->first.last_job->predecessor, nullptr);
}

TEST_F(IssuancesTest, ACertificateOfTheSecondIssuerMovesToTheFirstWhileThereIsTime) {
  Issuances::Job calm = renewal("calm.listed.test");
  calm.info->issuer = "second";
  Issuances::Job late = renewal("late.listed.test");
  late.info->issuer = "second";
  Wanter one(side->issuances, std::move(calm), Lane::kRenewal);
  clock.advance(3s);
  EXPECT_EQ(side->first.orders, 1);
  EXPECT_EQ(side->first.last_job->predecessor, nullptr);
  Wanter two(side->issuances, std::move(late), Lane::kUrgentRenewal);
  clock.advance(3s);
  EXPECT_EQ(side->second.orders, 1);
  ASSERT_TRUE(side->second.last_job);
  EXPECT_NE(side->second.last_job->predecessor, nullptr);
}

TEST_F(IssuancesTest, AnOrderOfAnEarlierLifeGoesToItsIssuerOnceAndTakesNoTokens) {
  OnDemandOptions options;
  options.second_limits.orders = Rate::of(10, 3h);
  start(options);
  Issuances::Job again = job("crashed.listed.test");
  PendingOrder pending{name_of("crashed.listed.test"), "second", "", "", "https://ca/order/1", ""};
  again.pending = pending;
  Wanter one(side->issuances, std::move(again), Lane::kPrefetch);
  clock.advance(3s);
  ASSERT_TRUE(one.served());
  EXPECT_EQ(side->first.orders, 0);
  ASSERT_TRUE(side->second.last_job && side->second.last_job->pending);
  for (const Budget::View& view : side->budget.view(clock.now())) {
    if (view.issuer != "second" || view.kind != LimitKind::kOrders) continue;
    EXPECT_EQ(view.tokens, view.burst);
  }
}

TEST_F(IssuancesTest, NoOrderIsMadeWhileTheStoreDoesNotWorkAndBothMomentsAreEvents) {
  store.broken_test = Error{ErrorCode::kIo, "the disk is full"};
  Wanter one(side->issuances, job("a.listed.test"), Lane::kHandshake);
  clock.advance(3s);
  ASSERT_TRUE(one.task.done());
  EXPECT_FALSE(one.task.outcome());
  EXPECT_EQ(side->orders(), 0);
  EXPECT_EQ(side->events.count(event_kind::kStoreFailed), 1u);
  EXPECT_EQ(side->events.count(event_kind::kFailed), 0u) << "one for the store is enough";
  store.broken_test.reset();
  clock.advance(20s);
  Wanter two(side->issuances, job("b.listed.test"), Lane::kHandshake);
  clock.advance(3s);
  EXPECT_TRUE(two.served());
  EXPECT_EQ(side->events.count(event_kind::kStoreWorks), 1u);
}

TEST_F(IssuancesTest, AFailedRenewalIsTriedAgainWithinATenthOfTheLife) {
  const WallTime now = clock.wall_now();
  Issuances::Job dying = renewal("short.listed.test");
  dying.predecessor = fake_ca().issue({"short.listed.test"}, now - 10min, now + 10min);
  side->first.trouble = own_failure();
  for (int i = 0; i < 3; ++i) {
    Wanter one(side->issuances, dying, Lane::kRenewal);
    clock.advance(3s);
    EXPECT_FALSE(one.served());
  }
  const FailureRecord* const failed = side->ledger.find(name_of("short.listed.test"));
  ASSERT_NE(failed, nullptr);
  EXPECT_LE(failed->next_try - clock.wall_now(), 2min + 1s);
  EXPECT_EQ(side->events.count(event_kind::kRenewalFailed), 3u);
}

TEST_F(IssuancesTest, AnIssuerThatIsOutOfOrderIsToldOnceAndSoIsItsReturn) {
  std::vector<std::string> told;
  side->desk.on_health = [&told](const std::string& issuer, const Error* why) {
    told.push_back(issuer + (why != nullptr ? " down" : " up"));
  };
  side->first.trouble = ca_trouble();
  for (int i = 0; i < 6; ++i) side->obtain("n" + std::to_string(i) + ".listed.test");
  EXPECT_EQ(told, std::vector<std::string>{"first down"});
  side->first.trouble.reset();
  clock.advance(1min);
  for (int i = 10; i < 13; ++i) side->obtain("n" + std::to_string(i) + ".listed.test");
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told.back(), "first up");
}

TEST_F(IssuancesTest, MayBeDestroyedAtAnyMoment) {
  for (int steps = 0; steps < 30; ++steps) {
    start();
    {
      Wanter one(side->issuances, job("gone.listed.test"), Lane::kHandshake);
      clock.advance(Millis(steps * 50));
    }
    store.certificates.clear();
    side.reset();
    EXPECT_EQ(clock.pending(), 0u) << "after " << steps;
  }
}

}  // namespace
}  // namespace latchkey
