#include "ondemand/coordinator.h"

#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class CoordinatorTest : public OnDemandTest {};

TEST_F(CoordinatorTest, AnAllowedNameIsOrderedStoredAndCached) {
  const std::string serial = side->obtain("shop.asked.test");
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(side->orders(), 1);
  ASSERT_EQ(store.certificates.size(), 1u);
  EXPECT_EQ(store.certificates.begin()->second->serial(), serial);
  ASSERT_NE(side->cache.find(name_of("shop.asked.test")), nullptr);
}

TEST_F(CoordinatorTest, AStoredCertificateNeedsNeitherAskNorOrder) {
  const ServerName name = name_of("stored.asked.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  http.status = 500;
  EXPECT_EQ(side->obtain(name.text()), store.certificates[name]->serial());
  EXPECT_EQ(http.calls + side->orders(), 0);
}

TEST_F(CoordinatorTest, AnExpiredStoredCertificateIsReplaced) {
  const ServerName name = name_of("old.listed.test");
  const WallTime now = clock.wall_now();
  store.certificates[name] = fake_ca().issue({name.text()}, now - 48h, now - 24h);
  EXPECT_FALSE(side->refused(name.text()));
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(CoordinatorTest, ADenialIsRememberedWithoutIoUntilItsTime) {
  http.status = 403;
  EXPECT_TRUE(side->refused("bad.asked.test"));
  const int reads = store.reads;
  EXPECT_TRUE(side->refused("bad.asked.test"));
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(store.reads, reads);
  EXPECT_EQ(store.writes, 0);
  EXPECT_EQ(side->coordinator.counts().refused_again.value(), 1u);
  clock.advance(61s);
  http.status = 200;
  EXPECT_FALSE(side->refused("bad.asked.test"));
}

TEST_F(CoordinatorTest, ANameThatIsListedAfterItsDenialIsAllowedAtOnce) {
  http.status = 403;
  EXPECT_TRUE(side->refused("bad.asked.test"));
  std::vector<Allowlist::BadLine> bad;
  side->policy.replace_allowlist(*Allowlist::load({"bad.asked.test"}, {}, bad));
  EXPECT_FALSE(side->refused("bad.asked.test"));
}

TEST_F(CoordinatorTest, NotKnowingIsNoDenialAndIsNotRemembered) {
  http.status = 503;
  EXPECT_TRUE(side->refused("new.asked.test"));
  EXPECT_EQ(side->coordinator.counts().unknown.value(), 1u);
  EXPECT_EQ(side->coordinator.counts().denied.value(), 0u);
  http.status = 200;
  EXPECT_FALSE(side->refused("new.asked.test"));
}

TEST_F(CoordinatorTest, AFailureKeepsFurtherOrdersAwayLongerAndLonger) {
  side->first.trouble = own_failure();
  side->obtain("broken.listed.test");
  EXPECT_NE(side->obtain("broken.listed.test").find("unauthorized"), std::string::npos);
  EXPECT_EQ(side->orders(), 1);
  clock.advance(73s);
  side->obtain("broken.listed.test");
  EXPECT_EQ(side->orders(), 2);
  clock.advance(7min);
  side->obtain("broken.listed.test");
  EXPECT_EQ(side->orders(), 2);
  clock.advance(6min);
  side->first.trouble.reset();
  EXPECT_FALSE(side->refused("broken.listed.test"));
  EXPECT_EQ(side->orders(), 3);
  EXPECT_TRUE(store.failures.empty());
}

TEST_F(CoordinatorTest, TroubleAtTheCaIsNotTheNamesFault) {
  side->first.trouble = side->second.trouble = ca_trouble();
  for (int i = 0; i < 5; ++i) {
    side->obtain("a.listed.test");
    clock.advance(31s);
  }
  EXPECT_GE(side->orders(), 5);
  EXPECT_TRUE(store.failures.empty());
  side->first.trouble.reset();
  side->second.trouble.reset();
  clock.advance(11s);
  EXPECT_FALSE(side->refused("a.listed.test"));
  EXPECT_EQ(side->first.earlier_failures, 0);
}

TEST_F(CoordinatorTest, ANameThatTheCaThrottlesIsLeftAloneForAsLongAsItSays) {
  side->first.trouble = OrderFailure{FailureClass::kRateLimited,
                                     Error{ErrorCode::kThrottled, "rateLimited", 1h}, true};
  side->second.trouble = side->first.trouble;
  side->obtain("a.listed.test");
  const int before = side->orders();
  clock.advance(59min);
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(side->orders(), before);
  clock.advance(2min);
  side->obtain("a.listed.test");
  EXPECT_GT(side->orders(), before);
  ASSERT_FALSE(side->put_off.empty());
  EXPECT_EQ(side->put_off.front().second, Millis(1h));
}

// An order whose certificate could not be kept has cost as much as any other.
TEST_F(CoordinatorTest, AnOrderThatCouldNotBeStoredIsNotRepeatedAtOnce) {
  store.full = Error{ErrorCode::kIo, "disk full"};
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(CoordinatorTest, ASickStoreIsNotTestedForEveryVisitor) {
  store.broken_test = Error{ErrorCode::kIo, "disk full"};
  for (int i = 0; i < 50; ++i) {
    side->gate.join(name_of("n" + std::to_string(i) + ".listed.test"), Lane::kHandshake,
                    [](const auto&) {});
    clock.advance(10ms);
  }
  EXPECT_LE(store.self_tests, 2);
  EXPECT_EQ(side->orders(), 0);
}

TEST_F(CoordinatorTest, NoOrderIsMadeWhileTheStoreDoesNotWork) {
  store.broken = Error{ErrorCode::kIo, "disk full"};
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(side->orders(), 0);
  store.broken.reset();
  clock.advance(1s);
  EXPECT_FALSE(side->refused("a.listed.test"));
}

TEST_F(CoordinatorTest, OrdersAreBoundedAndTheRestWaitTheirTurn) {
  int served = 0;
  for (int i = 0; i < 20; ++i) {
    side->gate.join(name_of("n" + std::to_string(i) + ".listed.test"), Lane::kHandshake,
                    [&](const auto& outcome) { served += outcome.has_value(); });
  }
  clock.advance(12s);
  EXPECT_EQ(served, 20);
  EXPECT_EQ(side->first.most_in_flight, 2);
}

TEST_F(CoordinatorTest, WhoWaitsTooLongForAPlaceIsRefusedAndNotBlamed) {
  int served = 0, refused = 0;
  for (int i = 0; i < 60; ++i) {
    side->gate.join(name_of("n" + std::to_string(i) + ".listed.test"), Lane::kHandshake,
                    [&](const auto& outcome) { ++(outcome ? served : refused); });
  }
  clock.advance(40s);
  EXPECT_EQ(served + refused, 60);
  EXPECT_GE(served, 48);
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(store.failures.empty());
}

TEST_F(CoordinatorTest, AllThatComeAtTheStartWaitForOneTestOfTheStore) {
  store.delay = Millis(50);
  for (int i = 0; i < 100; ++i) {
    side->gate.join(name_of("n" + std::to_string(i) + ".listed.test"), Lane::kHandshake,
                    [](const auto&) {});
  }
  clock.advance(1s);
  EXPECT_EQ(store.self_tests, 1);
}

TEST_F(CoordinatorTest, ANameThatWasListedSinceIsNotHeldByTheLimitOnNewNames) {
  OnDemandOptions options;
  options.new_names = Rate::of(1, 24h);
  start(options);
  EXPECT_FALSE(side->refused("a.tenant.test"));
  EXPECT_TRUE(side->refused("b.tenant.test"));
  std::vector<Allowlist::BadLine> bad;
  side->policy.replace_allowlist(*Allowlist::load({"b.tenant.test"}, {}, bad));
  EXPECT_FALSE(side->refused("b.tenant.test"));
}

TEST_F(CoordinatorTest, AStoredNameWithoutAVerdictIsAskedAboutOnce) {
  const ServerName name = name_of("imported.asked.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  http.body = R"({"upstream": "http://10.0.0.7:3000"})";
  EXPECT_FALSE(side->refused(name.text()));
  EXPECT_EQ(http.calls, 0);  // the handshake does not wait for it
  EXPECT_TRUE(side->cache.look_up(name, clock.wall_now()).recheck_due);
  Want want(Lane::kPrefetch);
  Task<Unit> recheck = side->coordinator.recheck(name, want);
  recheck.start();
  clock.advance(1s);
  const CacheHit hit = side->cache.look_up(name, clock.wall_now() + 2min);
  ASSERT_NE(hit.grant, nullptr);
  EXPECT_EQ(hit.grant->upstream, "http://10.0.0.7:3000");
  EXPECT_FALSE(hit.recheck_due);
}

TEST_F(CoordinatorTest, AnIssuerThatKeepsFailingIsLeftOutAndTriedAgainLater) {
  side->first.trouble = ca_trouble();
  for (int i = 0; i < 3; ++i) side->obtain("n" + std::to_string(i) + ".listed.test");
  EXPECT_EQ(side->first.orders, 3);
  EXPECT_EQ(side->second.orders, 3);
  side->obtain("n3.listed.test");
  EXPECT_EQ(side->first.orders, 3);
  EXPECT_TRUE(side->desk.failing(0));
  clock.advance(31s);
  side->first.trouble.reset();
  side->obtain("n4.listed.test");
  EXPECT_EQ(side->first.orders, 4);
  EXPECT_FALSE(side->desk.failing(0));
}

TEST_F(CoordinatorTest, ANamesOwnFailureIsNotTriedElsewhere) {
  side->first.trouble = own_failure();
  side->obtain("broken.listed.test");
  EXPECT_EQ(side->second.orders, 0);
}

TEST_F(CoordinatorTest, TheGrantChoosesTheIssuerAndStaysWithTheName) {
  http.body = R"({"issuer": "second", "upstream": "http://10.0.0.7:3000"})";
  EXPECT_FALSE(side->refused("a.asked.test"));
  EXPECT_EQ(side->first.orders, 0);
  EXPECT_EQ(side->second.orders, 1);
  const CacheHit hit = side->cache.look_up(name_of("a.asked.test"), clock.wall_now());
  ASSERT_NE(hit.grant, nullptr);
  EXPECT_EQ(hit.grant->upstream, "http://10.0.0.7:3000");
  EXPECT_FALSE(hit.recheck_due);
  EXPECT_TRUE(side->cache.look_up(name_of("a.asked.test"), clock.wall_now() + 2h).recheck_due);

  // A new process knows the route from the store.
  clock.advance(1s);
  start();
  http.status = 500;
  EXPECT_FALSE(side->refused("a.asked.test"));
  const CacheHit again = side->cache.look_up(name_of("a.asked.test"), clock.wall_now());
  ASSERT_NE(again.grant, nullptr);
  EXPECT_EQ(again.grant->upstream, "http://10.0.0.7:3000");
}

TEST_F(CoordinatorTest, ARecheckTakesANewRoute) {
  http.body = R"({"upstream": "http://10.0.0.7:3000", "ttl": 60})";
  side->obtain("a.asked.test");
  clock.advance(61s);
  http.body = R"({"upstream": "http://10.0.0.8:3000", "ttl": 60})";
  Want want(Lane::kPrefetch);
  Task<Unit> recheck = side->coordinator.recheck(name_of("a.asked.test"), want);
  recheck.start();
  clock.advance(1s);
  const CacheHit hit = side->cache.look_up(name_of("a.asked.test"), clock.wall_now());
  EXPECT_EQ(hit.grant->upstream, "http://10.0.0.8:3000");
  // An endpoint that is down changes nothing.
  clock.advance(61s);
  http.status = 500;
  Task<Unit> again = side->coordinator.recheck(name_of("a.asked.test"), want);
  again.start();
  clock.advance(1s);
  EXPECT_EQ(side->cache.look_up(name_of("a.asked.test"), clock.wall_now()).grant->upstream,
            "http://10.0.0.8:3000");
}

TEST_F(CoordinatorTest, NewNamesUnderOneRegisteredDomainAreBounded) {
  OnDemandOptions options;
  options.new_names = Rate::of(3, 24h);
  start(options);
  for (int i = 0; i < 5; ++i) side->obtain("n" + std::to_string(i) + ".tenant.test");
  EXPECT_EQ(side->orders(), 3);
  EXPECT_EQ(side->coordinator.counts().new_names_over_limit.value(), 2u);
  // Listed names do not count, nor do other domains, nor a second visit.
  EXPECT_FALSE(side->refused("a.listed.test"));
  EXPECT_FALSE(side->refused("a.other.test"));
  const int calls = http.calls;
  EXPECT_TRUE(side->refused("n4.tenant.test"));
  EXPECT_EQ(http.calls, calls);
  clock.advance(9h);
  EXPECT_FALSE(side->refused("n4.tenant.test"));
}

TEST_F(CoordinatorTest, ANameThatIsDeletedMeanwhileIsNotStored) {
  std::optional<Error> said;
  side->gate.join(name_of("a.listed.test"), Lane::kHandshake, [&](const auto& outcome) {
    if (!outcome) said = outcome.error();
  });
  clock.advance(500ms);
  const Error why{ErrorCode::kThrottled, "deleted"};
  EXPECT_TRUE(side->gate.call_off(name_of("a.listed.test"), why));
  EXPECT_TRUE(side->issuances.call_off(name_of("a.listed.test"), why));
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(said->message, "deleted");
  EXPECT_FALSE(side->gate.call_off(name_of("a.listed.test"), why));
  clock.advance(5s);
  EXPECT_EQ(side->first.in_flight, 0);
  EXPECT_TRUE(store.certificates.empty());
  EXPECT_EQ(side->cache.find(name_of("a.listed.test")), nullptr);
}

TEST_F(CoordinatorTest, ForgettingDeletesEverything) {
  http.body = R"({"tenant": "t"})";
  side->obtain("a.asked.test");
  clock.advance(1s);
  EXPECT_EQ(store.verdicts.size(), 1u);
  Task<> forgetting = side->coordinator.forget(name_of("a.asked.test"));
  forgetting.start();
  clock.advance(1s);
  EXPECT_TRUE(store.certificates.empty());
  EXPECT_TRUE(store.verdicts.empty());
  EXPECT_EQ(side->cache.find(name_of("a.asked.test")), nullptr);
  http.status = 403;
  EXPECT_TRUE(side->refused("a.asked.test"));
}

TEST_F(CoordinatorTest, MayBeCancelledAtEachOfItsWaits) {
  for (int waits = 0; waits < 10; ++waits) {
    start();
    {
      Want want(Lane::kHandshake);
      Task<CertificatePtr> task = side->coordinator.obtain(name_of("cut.asked.test"), want);
      task.start();
      for (int i = 0; i < waits; ++i) clock.advance(waits < 5 ? 1ms : 150ms);
    }
    store.certificates.clear();
    side.reset();
    EXPECT_EQ(clock.pending(), 0u) << "after " << waits;
    store.verdicts.clear();
  }
}

TEST_F(CoordinatorTest, KnowsWhatMayBeServedAndWantsItFromThenOn) {
  const auto may = [&](const std::string& text) {
    Want want(Lane::kHandshake);
    Task<Coordinator::Plain> task = side->coordinator.may_be_served(name_of(text), want);
    task.start();
    clock.advance(3s);
    return task.done() && *task.outcome() != Coordinator::Plain::kUnknown;
  };
  EXPECT_TRUE(may("a.listed.test"));
  EXPECT_TRUE(may("a.asked.test"));
  EXPECT_EQ(side->put_off.size(), 2u);
  http.status = 404;
  EXPECT_FALSE(may("b.asked.test"));
  const int calls = http.calls;
  EXPECT_FALSE(may("b.asked.test"));
  EXPECT_EQ(http.calls, calls);
  EXPECT_EQ(side->orders(), 0);
  EXPECT_EQ(side->put_off.size(), 2u);
  side->first.trouble = own_failure();
  side->obtain("c.listed.test");
  EXPECT_TRUE(may("c.listed.test"));  // wanted, though it failed
}

}  // namespace
}  // namespace latchkey
