// What visitors get of a name whose certificate has expired.

#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class ExpiryTest : public OnDemandTest {
 protected:
  // Stored, and expired a day ago. Its serial.
  std::string put_expired(const std::string& text) {
    const WallTime now = clock.wall_now();
    const CertificatePtr old = fake_ca().issue({text}, now - 48h, now - 24h);
    store.certificates[name_of(text)] = old;
    return old->serial();
  }
  // How long a visit takes, and what comes of it.
  struct Visit {
    std::string said;
    Millis took;
  };
  Visit visit(const std::string& text) {
    const TimePoint before = clock.now();
    Visit out{side->obtain(text), Millis(0)};
    out.took = clock.now() - before;
    return out;
  }
};

TEST_F(ExpiryTest, AFreshCertificateIsWaitedForAndServed) {
  const std::string old = put_expired("old.listed.test");
  EXPECT_NE(visit("old.listed.test").said, old);
  EXPECT_EQ(side->issuances.counts().renewed.value(), 1u);
  EXPECT_EQ(side->events.count(event_kind::kRenewed), 1u);
}

TEST_F(ExpiryTest, WhatTheSchedulerHasRenewedWhileTheEndpointWasAskedIsServed) {
  put_expired("asked.test");
  const CertificatePtr fresh = fake_ca().issue({"asked.test"});
  const Alarm renewed =
      clock.after(50ms, [&] { side->cache.replace(name_of("asked.test"), fresh); });
  EXPECT_EQ(visit("asked.test").said, fresh->serial());
  EXPECT_EQ(side->orders(), 0);
}

TEST_F(ExpiryTest, AnExpiredExactOneHidesNoGoodWildcard) {
  put_expired("a.listed.test");
  const CertificatePtr wild = fake_ca().issue({"*.listed.test"});
  store.clock = &clock;
  store.set_certificate(name_of("x.listed.test"), wild, "first");
  EXPECT_EQ(visit("a.listed.test").said, wild->serial());
  EXPECT_EQ(side->orders(), 0);
}

TEST_F(ExpiryTest, TheOldOneIsServedAfterFiveSecondsAndTheOrderGoesOn) {
  const std::string old = put_expired("slow.listed.test");
  side->first.takes = 60s;
  const Visit first = visit("slow.listed.test");
  EXPECT_EQ(first.said, old);
  EXPECT_GE(first.took, 5s);
  EXPECT_LT(first.took, 6s);
  // The order is old enough: who comes now need not wait.
  const int reads = store.reads;
  const Visit second = visit("slow.listed.test");
  EXPECT_EQ(second.said, old);
  EXPECT_LT(second.took, 1s);
  EXPECT_EQ(store.reads, reads);
  EXPECT_EQ(side->orders(), 1);
  clock.advance(60s);
  EXPECT_NE(visit("slow.listed.test").said, old);
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(ExpiryTest, WhileTheRenewalFailsTheOldOneIsServedAtOnceWithoutIo) {
  const std::string old = put_expired("bad.listed.test");
  side->first.trouble = own_failure();
  EXPECT_EQ(visit("bad.listed.test").said, old);
  const int reads = store.reads, writes = store.writes;
  const Visit again = visit("bad.listed.test");
  EXPECT_EQ(again.said, old);
  EXPECT_LT(again.took, 100ms);
  EXPECT_EQ(store.reads, reads);
  EXPECT_EQ(store.writes, writes);
  EXPECT_EQ(side->orders(), 1);
  side->first.trouble.reset();
  clock.advance(2min);
  EXPECT_NE(visit("bad.listed.test").said, old);
}

TEST_F(ExpiryTest, WithEverythingUnreachableTheOldOneIsServed) {
  const std::string old = put_expired("all.asked.test");
  http.status = 503;
  side->first.trouble = side->second.trouble = ca_trouble();
  EXPECT_EQ(visit("all.asked.test").said, old);
  EXPECT_EQ(visit("all.asked.test").said, old);
  http.status = 200;
  side->first.trouble.reset();
  clock.advance(1min);
  EXPECT_NE(visit("all.asked.test").said, old);
}

TEST_F(ExpiryTest, ADeniedNameIsRefusedWhenItsCertificateHasExpired) {
  put_expired("denied.asked.test");
  http.status = 403;
  EXPECT_TRUE(side->refused("denied.asked.test"));
}

TEST_F(ExpiryTest, SelfSignedServesOneThatSaysSoAndKeepsItNowhere) {
  OnDemandOptions options;
  options.expired = Coordinator::Expired::kSelfSigned;
  start(options);
  const std::string old = put_expired("self.listed.test");
  side->first.trouble = own_failure();
  const std::string said = visit("self.listed.test").said;
  EXPECT_NE(said, old);
  EXPECT_FALSE(said.starts_with("!")) << said;
  EXPECT_EQ(store.certificates[name_of("self.listed.test")]->serial(), old);
  EXPECT_EQ(side->cache.find(name_of("self.listed.test"))->serial(), old);
  EXPECT_EQ(side->coordinator.counts().self_signed_served.value(), 1u);
}

TEST_F(ExpiryTest, RefuseRefusesAndWaitsForAnOrderAsForANewName) {
  OnDemandOptions options;
  options.expired = Coordinator::Expired::kRefuse;
  start(options);
  const std::string old = put_expired("none.listed.test");
  side->first.takes = 20s;
  const Visit slow = visit("none.listed.test");
  EXPECT_NE(slow.said, old);
  EXPECT_GE(slow.took, 20s);
  put_expired("bad.listed.test");
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("bad.listed.test"));
}

TEST_F(ExpiryTest, PortEightyServesOnlyWhatCannotBeRenewed) {
  OnDemandOptions options;
  options.http_fallback = true;
  start(options);
  const auto plain = [&](const std::string& text) {
    Want want(Lane::kHandshake);
    Task<Coordinator::Plain> task = side->coordinator.may_be_served(name_of(text), want);
    task.start();
    clock.advance(3s);
    return task.done() ? *task.outcome() : Coordinator::Plain::kUnknown;
  };
  put_expired("lapsed.listed.test");
  EXPECT_EQ(plain("lapsed.listed.test"), Coordinator::Plain::kServed);  // not tried yet
  side->first.trouble = own_failure();
  side->obtain("lapsed.listed.test");
  EXPECT_EQ(plain("lapsed.listed.test"), Coordinator::Plain::kPlainOnly);
  EXPECT_EQ(plain("new.listed.test"), Coordinator::Plain::kServed);
  side->first.trouble.reset();
  clock.advance(2min);
  side->obtain("lapsed.listed.test");
  EXPECT_EQ(plain("lapsed.listed.test"), Coordinator::Plain::kServed);
}

}  // namespace
}  // namespace latchkey
