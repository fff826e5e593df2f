#include "ondemand/renewals.h"

#include "tests/ondemand/renewals_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

TEST_F(RenewalsTest, ACertificateIsRenewedAtItsTimeAndNotBefore) {
  add("a.listed.test", Days(90));
  const WallTime at = plan("a.listed.test").renew_at;
  const std::string before = info("a.listed.test").serial;
  start();
  clock.advance(1min);
  EXPECT_EQ(plan("a.listed.test").look_at, at) << "no word of the CA's: looked at when it is due";
  clock.advance(24h);
  side->renewals->note_use(name_of("a.listed.test"));
  clock.advance(at - now() - 1min);
  EXPECT_EQ(orders(), 0u);
  clock.advance(2min);
  ASSERT_EQ(orders(), 1u);
  EXPECT_NE(info("a.listed.test").serial, before);
  EXPECT_EQ(first.last_job->predecessor->serial(), before);
  EXPECT_EQ(first.last_job->predecessor_issuer, "first");
  EXPECT_EQ(first.last_job->predecessor_account, "first-account");
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
  EXPECT_EQ(side->events.count(event_kind::kRenewed), 1u);
  EXPECT_EQ(side->lanes, std::vector<Lane>{Lane::kRenewal});
}

TEST_F(RenewalsTest, APendingOrderIsGoneOnWith) {
  add_due("a.listed.test");
  PendingOrder order{.name = name_of("a.listed.test"),
                     .issuer = "first",
                     .directory = "https://ca.test/directory",
                     .account = "",
                     .url = "https://ca.test/order/1",
                     .key_der = ""};
  store.orders.emplace(order.name, order);
  start();
  clock.advance(2s);
  ASSERT_EQ(orders(), 1u);
  ASSERT_TRUE(first.last_job->pending);
  EXPECT_EQ(first.last_job->pending->url, "https://ca.test/order/1");
}

TEST_F(RenewalsTest, WhatHasGoneOrWasReplacedMeanwhileIsLeftAlone) {
  add_due("a.listed.test");
  store.delay = 100ms;
  start();
  clock.advance(150ms);  // the index was read, the name's rows are being read
  store.infos.clear();
  store.certificates.clear();
  clock.advance(1min);
  EXPECT_EQ(orders(), 0u);
  EXPECT_EQ(side->renewals->looking(), 0u);
}

// --- visits

TEST_F(RenewalsTest, ANameThatNobodyVisitsIsNotRenewedAndToldOfOnce) {
  add_due("a.test");
  info("a.test").last_used = now() - Days(61);
  start();
  clock.advance(24h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_EQ(plan("a.test").look_at, RenewalPlan::kNever);
  EXPECT_EQ(side->events.count(event_kind::kNotRenewed), 1u);
  EXPECT_EQ(side->renewals->counts().unseen.value(), 1u);

  side->renewals->note_use(name_of("a.test"));
  clock.advance(2min);
  EXPECT_EQ(orders(), 1u) << "a visit wakes it";
  EXPECT_EQ(side->events.count(event_kind::kNotRenewed), 1u);
}

TEST_F(RenewalsTest, ANameThatIsVisitedNowAndThenIsRenewedWithoutTraffic) {
  add_due("a.test");
  info("a.test").last_used = now() - Days(59);
  start();
  clock.advance(1min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, ManagedNamesAreRenewedWhoeverVisitsThem) {
  for (const auto policy : {RenewalRules::Policy::kSeen, RenewalRules::Policy::kOnUse}) {
    add_due("managed.test");
    info("managed.test").last_used = now() - Days(1000);
    RenewalsOptions options;
    options.rules.policy = policy;
    first.orders.clear();
    start(options);
    clock.advance(1min);
    EXPECT_EQ(orders(), 1u);
  }
}

TEST_F(RenewalsTest, WithAlwaysNobodyNeedVisit) {
  add_due("a.test");
  info("a.test").last_used = now() - Days(1000);
  RenewalsOptions options;
  options.rules.policy = RenewalRules::Policy::kAlways;
  start(options);
  clock.advance(1min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, WithOnUseADueNameWaitsForItsNextVisit) {
  add_due("a.test");
  info("a.test").last_used = plan("a.test").renew_at - 1h;
  RenewalsOptions options;
  options.rules.policy = RenewalRules::Policy::kOnUse;
  start(options);
  clock.advance(1h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_EQ(plan("a.test").look_at, RenewalPlan::kNever);
  EXPECT_EQ(side->events.count(event_kind::kNotRenewed), 0u);
  side->renewals->note_use(name_of("a.test"));
  clock.advance(2min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, VisitsAreWrittenTogetherAndSoon) {
  add("a.test");
  add("b.test");
  start();
  clock.advance(1s);
  for (int i = 0; i < 10; ++i) {
    side->renewals->note_use(name_of("a.test"));
    side->renewals->note_use(name_of("b.test"));
  }
  clock.advance(29s);
  EXPECT_EQ(store.use_notes, 0);
  clock.advance(2s);
  EXPECT_EQ(store.use_notes, 2) << "each once";
  EXPECT_GE(info("a.test").last_used, now() - 2s);
}

TEST_F(RenewalsTest, AThousandVisitsAreWrittenAtOnce) {
  start();
  for (int i = 0; i < 1000; ++i) {
    side->renewals->note_use(name_of(std::to_string(i) + ".test"));
  }
  clock.advance(10ms);
  EXPECT_EQ(store.use_notes, 1000);
}

TEST_F(RenewalsTest, VisitsThatCouldNotBeWrittenAreKeptButNotWithoutBound) {
  RenewalsOptions options;
  options.renewals.max_uses = 2000;
  start(options);
  store.full = Error{ErrorCode::kIo, "disk full"};
  for (int i = 0; i < 5000; ++i) {
    side->renewals->note_use(name_of(std::to_string(i) + ".test"));
    if (i == 999) clock.advance(1s);
  }
  clock.advance(5min);
  store.full.reset();
  store.use_notes = 0;
  clock.advance(31s);
  EXPECT_EQ(store.use_notes, 2000);
  clock.advance(5min);
  EXPECT_EQ(store.use_notes, 2000) << "all are written";
}

// --- the policy

TEST_F(RenewalsTest, ANameThatIsStillAllowedIsAskedAboutAndRenewed) {
  add_due("a.test");
  VerdictRecord yes;
  yes.asked = now();
  yes.until = now() + Days(30);  // fresh: asked all the same
  yes.stale_until = now() + Days(31);
  store.verdicts[name_of("a.test")] = yes;
  http.body = R"({"profile": "shortlived"})";
  start();
  clock.advance(1min);
  EXPECT_EQ(http.calls, 1);
  ASSERT_EQ(orders(), 1u);
  ASSERT_NE(first.last_job->grant, nullptr);
  EXPECT_EQ(first.last_job->grant->profile, "shortlived");
}

TEST_F(RenewalsTest, ListedNamesAreNotAskedAbout) {
  add_due("a.listed.test");
  http.status = 404;
  start();
  clock.advance(1min);
  EXPECT_EQ(http.calls, 0);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, ADenialCountsWhenItIsRepeatedADayLater) {
  add_due("a.test");
  http.status = 404;
  start();
  clock.advance(1min);
  EXPECT_TRUE(plan("a.test").denied_since);
  EXPECT_EQ(http.calls, 1);
  clock.advance(23h);
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 0u);
  clock.advance(2h);
  EXPECT_EQ(http.calls, 2);
  EXPECT_EQ(orders(), 0u);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 1u);
  EXPECT_EQ(plan("a.test").look_at, RenewalPlan::kNever);
  EXPECT_TRUE(is_given_up(plan("a.test")));

  // A visit asks again: a no is not told of twice, a yes renews.
  side->renewals->note_use(name_of("a.test"));
  clock.advance(2min);
  EXPECT_EQ(http.calls, 3);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 1u);
  EXPECT_EQ(plan("a.test").look_at, RenewalPlan::kNever);
  http.status = 200;
  side->renewals->note_use(name_of("a.test"));
  clock.advance(2min);
  EXPECT_EQ(orders(), 1u);
  EXPECT_FALSE(plan("a.test").denied_since);
}

TEST_F(RenewalsTest, ADenialOnceDoesNotCount) {
  add_due("a.test");
  http.status = 404;
  start();
  clock.advance(1h);
  http.status = 200;
  clock.advance(24h);
  EXPECT_EQ(orders(), 1u);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 0u);
}

TEST_F(RenewalsTest, ForAShortLifeADenialCountsAfterAQuarterOfWhatIsLeft) {
  first.life = 8h;
  add_due("a.test", 8h);
  const auto left = info("a.test").end - now();
  http.status = 410;
  start();
  clock.advance(left / 4 - 1min);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 0u);
  clock.advance(3min);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 1u);
}

TEST_F(RenewalsTest, AnEndpointThatIsDownTakesNoNameDown) {
  add_due("a.test");
  http.status = 503;
  start();
  clock.advance(1min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, DoubtAfterADenialWaitsForAWord) {
  add_due("a.test");
  http.status = 404;
  start();
  clock.advance(1h);
  http.status = 503;
  clock.advance(72h);
  EXPECT_EQ(orders(), 0u);
  EXPECT_EQ(side->events.count(event_kind::kDeniedAtRenewal), 0u);
  http.status = 200;
  clock.advance(25h);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, TheEndpointIsNotAskedMoreThanItCanAnswer) {
  for (int i = 0; i < 400; ++i) add_due(std::to_string(i) + ".test");
  http.status = 404;
  start();
  clock.advance(1min);
  EXPECT_EQ(http.calls, 400);
  EXPECT_EQ(orders(), 0u) << "nobody was taken for allowed because of a queue";
}

// --- failures

TEST_F(RenewalsTest, TheLedgersNextTryIsWaitedFor) {
  add_due("a.listed.test");
  FailureRecord failure;
  failure.failure = FailureClass::kUnauthorized;
  failure.count = 1;
  failure.next_try = now() + 10min;
  store.failures[name_of("a.listed.test")] = failure;
  start();
  clock.advance(9min);
  EXPECT_EQ(orders(), 0u);
  clock.advance(2min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsTest, AFailingRenewalIsTriedGentlyAndOftenEnough) {
  add_due("a.listed.test", Days(90));
  first.trouble = own_failure();
  start();
  clock.advance(5 * 24h);
  // 1, 10, 100 min, then a tenth of the life or a day, jitter included.
  EXPECT_GE(orders(), 7u);
  EXPECT_LE(orders(), 10u);
  for (size_t i = 1; i < orders(); ++i) {
    EXPECT_LE(first.orders[i].second - first.orders[i - 1].second, 24h + 1min);
  }
  EXPECT_EQ(side->renewals->counts().failed.value(), orders());
  first.trouble.reset();
  clock.advance(24h + 1min);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
  EXPECT_TRUE(store.failures.empty());
}

TEST_F(RenewalsTest, AShortLivedCertificatesRetriesAreATenthOfItsLifeApart) {
  first.life = 160h;
  add_due("a.listed.test", 160h);
  first.trouble = own_failure();
  start();
  clock.advance(5 * 24h);
  EXPECT_GE(orders(), 9u);
  EXPECT_LE(orders(), 14u);
  for (size_t i = 1; i < orders(); ++i) {
    EXPECT_LE(first.orders[i].second - first.orders[i - 1].second, 16h + 1min);
  }
}

TEST_F(RenewalsTest, ACaThatIsDownForDaysIsNotTriedAllTheTime) {
  add_due("a.listed.test", Days(90));
  first.trouble = ca_trouble();
  start();
  clock.advance(5 * 24h);
  EXPECT_GE(orders(), 7u);
  EXPECT_LE(orders(), 14u);
  EXPECT_TRUE(store.failures.empty()) << "the name is not to blame";
  first.trouble.reset();
  clock.advance(24h + 1min);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
}

TEST_F(RenewalsTest, CertificatesOfAMinuteAreTriedAgainInTime) {
  first.life = 2min;
  first.takes = 100ms;
  add_due("a.listed.test", 60s);
  first.trouble = own_failure();
  start();
  clock.advance(15s);
  EXPECT_GE(orders(), 2u);
  first.trouble.reset();
  clock.advance(11s);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
}

TEST_F(RenewalsTest, AnExpiredCertificateIsToldOfOnceAndTriedOn) {
  first.life = Days(9);
  add_due("a.listed.test", Days(9));
  first.trouble = own_failure();
  start();
  clock.advance(10 * 24h);
  EXPECT_EQ(side->events.count(event_kind::kExpired), 1u);
  const size_t before = orders();
  clock.advance(5 * 24h);
  EXPECT_GE(orders(), before + 4);
  EXPECT_EQ(side->events.count(event_kind::kExpired), 1u);
  stop();
  start();  // another process
  clock.advance(2 * 24h);
  EXPECT_EQ(side->events.count(event_kind::kExpired), 0u);
  first.trouble.reset();
  clock.advance(24h);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
}

// --- lanes and places

TEST_F(RenewalsTest, ARenewalThatWaitsBecomesUrgentInTime) {
  add_due("a.listed.test", Days(90));
  start();
  side->closed = true;
  clock.advance(1h);
  ASSERT_NE(side->waiting, nullptr);
  EXPECT_EQ(side->waiting->lane(), Lane::kRenewal);
  clock.advance(urgent_from(info("a.listed.test").not_before, info("a.listed.test").end) - now() -
                20min);
  EXPECT_EQ(side->waiting->lane(), Lane::kRenewal);
  clock.advance(40min);
  EXPECT_EQ(side->waiting->lane(), Lane::kUrgentRenewal);
  side->closed = false;
  clock.advance(2min);
  EXPECT_EQ(side->renewals->counts().renewed.value(), 1u);
}

TEST_F(RenewalsTest, LittleLifeLeftIsUrgentAtOnce) {
  add("a.listed.test", Days(90), Days(80));
  plan("a.listed.test").renew_at = now();
  start();
  clock.advance(1min);
  EXPECT_EQ(side->lanes, std::vector<Lane>{Lane::kUrgentRenewal});
}

TEST_F(RenewalsTest, OrdersThatHangHoldTheirOwnPlacesOnly) {
  RenewalsOptions options;
  options.renewals.max_looking = 50;
  options.two_issuers = true;
  first.takes = 1000h;  // hangs
  for (int i = 0; i < 200; ++i) add_due(std::to_string(i) + ".listed.test");
  start(options);
  clock.advance(30min);
  EXPECT_LE(side->renewals->looking(), 50u);
  EXPECT_LE(first.orders.size(), 20u) << "half of the places for orders";

  for (int i = 0; i < 20; ++i)
    add_due("b" + std::to_string(i) + ".listed.test", Days(90), "second");
  add("new.listed.test");
  side->renewals->look_soon();
  first.advice = [this](const Certificate&) -> Result<RenewalAdvice> {
    return window(now() + Days(50), now() + Days(51));
  };
  clock.advance(1h);
  EXPECT_TRUE(plan("new.listed.test").window) << "others are polled";
  EXPECT_EQ(second.orders.size(), 20u) << "another issuer's are renewed";
  // Those with little life left have places that the others cannot take.
  add("late.listed.test", Days(90), Days(85));
  plan("late.listed.test").renew_at = now();
  plan("late.listed.test").poll_at = RenewalPlan::kNever;
  const size_t before = orders();
  side->renewals->look_soon();
  clock.advance(1min);
  EXPECT_EQ(orders(), before + 1);
}

// --- the operator

TEST_F(RenewalsTest, TheOperatorRenewsWhateverThePlanAndTheLedgerSay) {
  add("a.test", Days(90), Days(1));
  FailureRecord failure;
  failure.count = 3;
  failure.next_try = now() + 10h;
  store.failures[name_of("a.test")] = failure;
  start();
  Task<CertificatePtr> renewing = side->renewals->renew_now(name_of("a.test"));
  renewing.start();
  clock.advance(3s);
  ASSERT_TRUE(renewing.done());
  ASSERT_TRUE(renewing.outcome());
  EXPECT_EQ(info("a.test").serial, (*renewing.outcome())->serial());
  EXPECT_NE(first.last_job->predecessor, nullptr);
}

TEST_F(RenewalsTest, TheOperatorsWordDoesNotGoOverThePolicys) {
  add("a.test");
  http.status = 403;
  start();
  Task<CertificatePtr> renewing = side->renewals->renew_now(name_of("a.test"));
  renewing.start();
  clock.advance(3s);
  ASSERT_TRUE(renewing.done());
  EXPECT_EQ(renewing.outcome().error().code, ErrorCode::kDenied);
  Task<CertificatePtr> unknown = side->renewals->renew_now(name_of("b.test"));
  unknown.start();
  clock.advance(3s);
  ASSERT_TRUE(unknown.done());
  EXPECT_EQ(unknown.outcome().error().code, ErrorCode::kNotFound);
}

// Whatever the rules for visits say.
TEST_F(RenewalsTest, TwinsAreLeftAloneWhileNoneAreServed) {
  RenewalsOptions options;
  options.rules.policy = RenewalRules::Policy::kAlways;
  options.twins = false;
  const TestCa::Names names{"a.test"};
  CertificateOrigin origin("first");
  origin.slot = Slot::kRsa;
  RenewalPlan plan;
  plan.renew_at = plan.look_at = now();
  origin.plan = plan;
  store.set_certificate(
      name_of("a.test"),
      fake_ca().issue(names, now() - Days(60), now() + Days(30), generate_rsa_key()), origin);
  start(options);
  clock.advance(24h);
  EXPECT_EQ(orders(), 0u);
  options.twins = true;
  start(options);
  side->renewals->note_use(name_of("a.test"), Slot::kRsa);
  clock.advance(1h);
  EXPECT_EQ(orders(), 1u);
}

}  // namespace
}  // namespace latchkey
