// What happens to a name while it is looked at.
#include "tests/ondemand/renewals_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class RenewalsRacesTest : public RenewalsTest {
 protected:
  // The operator's DELETE: what ControlPlane and Coordinator do of it.
  void end(const std::string& name) {
    side->renewals->call_off(name_of(name));
    delete_row(name);
  }
  void delete_row(const std::string& name) {
    Task<> deleting = store.delete_name(name_of(name));
    deleting.start();
    clock.advance(5ms);
    ASSERT_TRUE(deleting.done());
  }
  // Due, and its CA takes half a minute to say so.
  void add_polled(const std::string& name) {
    add_due(name);
    plan(name).poll_at = now();
    first.advice_takes = 30s;
  }
};

TEST_F(RenewalsRacesTest, ANameThatIsEndedWhileItIsLookedAtStaysGone) {
  for (int steps = 0; steps < 40; ++steps) {
    add_polled("a.test");
    start();
    clock.advance(Millis(steps < 20 ? steps : 1000 * steps));
    end("a.test");
    side->issuances->call_off(name_of("a.test"), Error{ErrorCode::kDenied, "ended"});
    const size_t before = orders();
    clock.advance(1h);
    EXPECT_EQ(orders(), before) << "after " << steps;
    EXPECT_TRUE(store.certificates.empty()) << "after " << steps;
    EXPECT_EQ(side->renewals->looking(), 0u);
    stop();
    EXPECT_EQ(clock.manual.pending(), 0u);
  }
}

TEST_F(RenewalsRacesTest, WhatVisitorsHaveBroughtMeanwhileIsNotRenewedAgain) {
  add_polled("a.test");
  start();
  clock.advance(10s);
  add("a.test");
  clock.advance(24h);
  EXPECT_EQ(orders(), 0u);
}

// Another process does it meanwhile, and dies.
TEST_F(RenewalsRacesTest, AStopAtAnyMomentCanBeTakenBack) {
  for (Millis after{0}; after < 1200ms; after += after < 20ms ? 1ms : 40ms) {
    add_due("managed.test");
    start();
    clock.advance(after);
    side->renewals->stop();
    clock.advance(1min);
    side->renewals->start();
    clock.advance(10min);
    EXPECT_GT(plan("managed.test").renew_at, now()) << "after " << after.count();
    stop();
  }
}

TEST_F(RenewalsRacesTest, TheOperatorsRenewalEndsWithTheName) {
  add("a.test");
  start();
  clock.advance(10s);
  Task<CertificatePtr> renewing = side->renewals->renew_now(name_of("a.test"));
  renewing.start();
  clock.advance(50ms);  // the endpoint is asked
  end("a.test");
  clock.advance(1min);
  ASSERT_TRUE(renewing.done());
  ASSERT_FALSE(renewing.outcome());
  EXPECT_EQ(renewing.outcome().error().code, ErrorCode::kNotFound);
  EXPECT_EQ(orders(), 0u);
  EXPECT_TRUE(store.certificates.empty());
}

TEST_F(RenewalsRacesTest, RowsThatCannotBeReadAreNoStormAndHoldUpNobody) {
  for (int i = 0; i < 600; ++i) {
    const std::string name = std::to_string(i) + ".listed.test";
    add_due(name);
    plan(name).look_at = now() - 1h;
    store.unreadable.insert(name_of(name));
  }
  add_due("good.listed.test");
  start();
  clock.advance(1min);
  EXPECT_EQ(orders(), 1u);
  EXPECT_LE(store.reads, 650);
  clock.advance(4h);
  EXPECT_LE(store.reads, 600 * 20);
  store.unreadable.clear();
  clock.advance(2h);
  EXPECT_EQ(orders(), 601u);
}

TEST_F(RenewalsRacesTest, ACertificateThatExpiresWhileItsOrderWaitsIsToldOf) {
  first.life = Days(9);
  add_due("a.listed.test", Days(9));
  start();
  side->closed = true;
  clock.advance(5 * 24h);
  EXPECT_EQ(side->events.count(event_kind::kExpired), 1u);
  first.trouble = own_failure();
  side->closed = false;
  clock.advance(5 * 24h);
  EXPECT_EQ(side->events.count(event_kind::kExpired), 1u);
}

TEST_F(RenewalsRacesTest, WhatAWrongClockHasWrittenIsPutRightAlsoWhereTheDiskIsFullAtFirst) {
  add("a.listed.test", Days(90), Days(30));
  plan("a.listed.test").poll_at = RenewalPlan::kNever;
  plan("a.listed.test").look_at = now() + Days(365);
  Event event;
  event.at = now() + Days(365);
  store.events.push_back(event);
  store.full = Error{ErrorCode::kIo, "disk full"};
  start();
  clock.advance(5min);
  store.full.reset();
  clock.advance(5min);
  EXPECT_EQ(plan("a.listed.test").look_at, plan("a.listed.test").renew_at);
}

TEST_F(RenewalsRacesTest, AWriteThatFailedHasTheStoreTestedBeforeTheNextOrder) {
  add_due("a.listed.test");
  start();
  clock.advance(10s);
  ASSERT_EQ(orders(), 1u);
  store.full = store.broken_test = Error{ErrorCode::kIo, "disk full"};
  side->renewals->note_use(name_of("a.listed.test"));
  clock.advance(31s);
  Want want(Lane::kHandshake);
  Task<CertificatePtr> issuing = side->issuances->issue({name_of("b.listed.test")}, want);
  issuing.start();
  clock.advance(1min);
  ASSERT_TRUE(issuing.done());
  EXPECT_FALSE(issuing.outcome());
  EXPECT_EQ(orders(), 1u);
}

}  // namespace
}  // namespace latchkey
