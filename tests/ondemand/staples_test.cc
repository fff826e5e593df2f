#include "ondemand/staples.h"

#include "tests/ondemand/staples_fixture.h"

namespace latchkey::staples_test {
namespace {

TEST_F(StaplesTest, AStoredCertificateGetsItsStaple) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  ASSERT_NE(stapled("a.test"), nullptr);
  ASSERT_NE(row(*made).staple, nullptr);
  EXPECT_EQ(row(*made).staple->der, stapled("a.test")->der);
  EXPECT_EQ(source.asked.size(), 1u);
  EXPECT_EQ(staples->counts().fetched.value(), 1u);
}

TEST_F(StaplesTest, AStapleIsRefreshedAtHalfOfItsLife) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  const WallTime first = source.asked.at(0).second;
  for (int i = 0; i < 3; ++i) {
    const size_t before = source.asked.size();
    const WallTime asked = source.asked.back().second;
    while (source.asked.size() == before && now() < asked + 96h) advance(1min);
    ASSERT_EQ(source.asked.size(), before + 1);
    EXPECT_GE(source.asked.back().second - asked, 43h);
    EXPECT_LE(source.asked.back().second - asked, 53h);
    advance(1min);
    EXPECT_EQ(stapled("a.test")->this_update, row(*made).staple->this_update);
    EXPECT_GT(stapled("a.test")->this_update, first);
  }
}

// At any moment, also with somebody who waits for one.
TEST_F(StaplesTest, StoppedItAsksNobodyUntilItIsStartedAgain) {
  for (Millis after{0}; after < 120ms; after += 1ms) {
    start();
    const std::string one = "n" + std::to_string(after.count()) + ".test";
    const CertificatePtr made = add(one);
    auto waiting = staples->with_staple(name_of(one), Slot::kMain, made, 60s);
    waiting.start();
    advance(after);
    staples->stop();
    const size_t asked = source.asked.size();
    advance(1min);
    ASSERT_TRUE(waiting.done()) << after.count();
    EXPECT_TRUE(waiting.outcome());
    advance(24h);
    EXPECT_EQ(source.asked.size(), asked) << after.count();
    staples->start();
    advance(1min);
    EXPECT_NE(row(*made).staple, nullptr) << after.count();
  }
}

TEST_F(StaplesTest, WithoutAResponderNobodyIsAsked) {
  start();
  add("a.test", "");
  advance(24h);
  EXPECT_TRUE(source.asked.empty());
  EXPECT_TRUE(store.staples.empty());
}

TEST_F(StaplesTest, SwitchedOffNobodyIsAsked) {
  Staples::Options options;
  options.enabled = false;
  start(options);
  const CertificatePtr made = add("a.test");
  staples->set_configured({{make("b.test"), "files"}});
  advance(24h);
  EXPECT_TRUE(source.asked.empty());
  const auto same = finish(staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s), 1s);
  ASSERT_TRUE(same);
  EXPECT_EQ(*same, made);
}

TEST_F(StaplesTest, TwinsHaveStaplesOfTheirOwn) {
  start();
  add("a.test");
  const CertificatePtr rsa =
      ca.issue({"a.test"}, kResponder, now() - 1h, now() + 24h * 90, generate_rsa2048_key());
  CertificateOrigin origin("ca");
  origin.slot = Slot::kRsa;
  store.set_certificate(name_of("a.test"), rsa, origin);
  cache->put(name_of("a.test"), rsa, {}, Slot::kRsa);
  staples->see(name_of("a.test"), Slot::kRsa, rsa);
  advance(3s);
  ASSERT_NE(stapled("a.test"), nullptr);
  ASSERT_NE(stapled("a.test", Slot::kRsa), nullptr);
  EXPECT_NE(stapled("a.test")->der, stapled("a.test", Slot::kRsa)->der);
}

TEST_F(StaplesTest, APersistedStapleSurvivesARestartWhileTheResponderIsDown) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  const std::string der = stapled("a.test")->der;
  all_fail();
  start();
  const auto loaded = finish(store.find_certificate(name_of("a.test")), 1s);
  ASSERT_TRUE(loaded && *loaded != nullptr && (*loaded)->staple() != nullptr);
  cache->put(name_of("a.test"), *loaded);
  staples->see(name_of("a.test"), Slot::kMain, *loaded);
  advance(90h);  // fails from its half life on
  ASSERT_NE(stapled("a.test"), nullptr);
  EXPECT_EQ(stapled("a.test")->der, der);
  EXPECT_GT(source.asked_about(*made), 5u);
}

TEST_F(StaplesTest, AnExpiredStapleIsDroppedAndDeleted) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  const WallTime end = stapled("a.test")->next_update;
  all_fail();
  advance(end - now() - 1s);
  EXPECT_NE(stapled("a.test"), nullptr);
  advance(2min);
  EXPECT_EQ(stapled("a.test"), nullptr);
  EXPECT_EQ(row(*made).staple, nullptr);
  EXPECT_EQ(staples->counts().dropped.value(), 1u);
  source.by_responder.clear();
  advance(2h);
  EXPECT_NE(stapled("a.test"), nullptr);
}

TEST_F(StaplesTest, FailuresAreTriedAgainMoreAndMoreSeldom) {
  start();
  all_fail(ErrorCode::kNotFound);
  const CertificatePtr made = add("a.test");
  advance(12h);
  ASSERT_GT(source.asked.size(), 8u);
  Millis expected = 1min;
  for (size_t i = 1; i < source.asked.size(); ++i) {
    const Millis waited = source.asked[i].second - source.asked[i - 1].second;
    EXPECT_GE(waited, expected * 9 / 10 - 1s) << i;
    EXPECT_LE(waited, expected * 11 / 10 + 5s) << i;
    expected = std::min<Millis>(2 * expected, 1h);
  }
  EXPECT_LT(source.asked.size(), 22u);
}

TEST_F(StaplesTest, AStapleThatEndsSoonIsTriedForMoreOften) {
  source.life = 20min;
  start();
  add("a.test");
  advance(2s);
  const WallTime end = stapled("a.test")->next_update;
  all_fail(ErrorCode::kNotFound);
  while (now() < end - 1min) advance(1s);
  const size_t before = source.asked.size();
  while (now() < end) advance(1s);
  EXPECT_GE(source.asked.size(), before + 2);
  EXPECT_LE(source.asked.size(), before + 7);  // ten seconds apart at least
}

TEST_F(StaplesTest, AnOlderAnswerDoesNotReplaceANewerOne) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  const std::string der = stapled("a.test")->der;
  Staple old = *stapled("a.test");
  old.der = "an older one";
  old.this_update -= 1h;
  StapleAnswer answer;
  answer.staple = std::make_shared<const Staple>(old);
  source.answers.insert_or_assign(made->serial(), answer);
  advance(60h);
  EXPECT_GE(source.asked.size(), 2u);
  EXPECT_EQ(stapled("a.test")->der, der);
}

TEST_F(StaplesTest, ARevocationIsToldOnceWithItsReason) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  source.answers.insert_or_assign(made->serial(), FakeSource::revoked("keyCompromise"));
  advance(60h);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told.front(), std::tuple("a.test", Slot::kMain, "keyCompromise"));
  EXPECT_EQ(stapled("a.test"), nullptr);
  EXPECT_EQ(row(*made).staple, nullptr);
  ASSERT_EQ(events.count(event_kind::kRevoked), 1u);
  EXPECT_NE(events.events.front().details.find("keyCompromise"), std::string::npos);
  const size_t asked = source.asked.size();
  advance(30 * 24h);
  EXPECT_EQ(source.asked.size(), asked);
  EXPECT_EQ(told.size(), 1u);
  EXPECT_EQ(staples->counts().revoked.value(), 1u);
  // What was to be done about it may have been cut off.
  start();
  advance(25h);
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(StaplesTest, ARowWhoseCertificateWasReplacedIsDeleted) {
  start();
  const CertificatePtr old = make("a.test");
  StapleRecord left{old->leaf_hash(), "a.test", 0};
  left.look_at = now() + 1h;
  left.end = old->not_after();
  store.staples[left.leaf] = left;
  const CertificatePtr made = add("a.test");
  advance(2h);
  EXPECT_FALSE(store.staples.contains(old->leaf_hash()));
  EXPECT_EQ(source.asked_about(*old), 0u);
  EXPECT_EQ(source.asked_about(*made), 1u);
}

TEST_F(StaplesTest, ACertificateThatHasExpiredIsLeftAlone) {
  start();
  const CertificatePtr ended = ca.issue({"a.test"}, kResponder, now() - 48h, now() - 1h, key);
  store.set_certificate(name_of("a.test"), ended, "ca");
  advance(2min);
  EXPECT_TRUE(source.asked.empty());
  EXPECT_TRUE(store.staples.empty());
}

TEST_F(StaplesTest, WhatWasStoredBeforeThereWereStaplesIsSeenWhenItIsLoaded) {
  start();
  const CertificatePtr made = make("a.test");
  store.set_certificate(name_of("a.test"), made, "ca");
  store.staples.clear();
  cache->put(name_of("a.test"), made);
  staples->see(name_of("a.test"), Slot::kMain, made);
  advance(3s);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_EQ(store.staples.size(), 1u);
}

TEST_F(StaplesTest, AStapleThatCameWhileTheCertificateWasLoadedIsPutInUse) {
  start();
  const CertificatePtr made = add("a.test");
  advance(2s);
  cache->put(name_of("a.test"), made);  // read before
  staples->see(name_of("a.test"), Slot::kMain, made);
  advance(1s);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_EQ(source.asked.size(), 1u);
}

// --- configured certificates

TEST_F(StaplesTest, AConfiguredCertificateIsLookedAtFromMemory) {
  start();
  const CertificatePtr own = make("own.test");
  const std::vector<ConfiguredCertificate> all{{own, "files"}};
  cache->set_configured(all);
  staples->set_configured(all);
  advance(3s);
  ASSERT_NE(stapled("own.test"), nullptr);
  ASSERT_NE(row(*own).staple, nullptr);
  EXPECT_EQ(row(*own).look_at, row(*own).staple->next_update - 24h) << "not before memory does";
  const std::string first = stapled("own.test")->der;
  cache->set_configured(all);  // read again, nothing changed
  staples->set_configured(all);
  advance(60h);
  EXPECT_EQ(source.asked.size(), 2u);
  EXPECT_NE(stapled("own.test")->der, first);
}

TEST_F(StaplesTest, AConfiguredCertificateWhoseChainWasMendedKeepsTheNewOne) {
  start();
  const CertificatePtr whole = make("own.test");
  const CertificatePtr bare = *Certificate::from_der({whole->chain_der().front()}, key);
  // Without its issuer nothing can be asked about it.
  all_fail(ErrorCode::kInvalid);
  cache->set_configured({{bare, "files"}});
  staples->set_configured({{bare, "files"}});
  advance(3s);
  ASSERT_EQ(source.asked.size(), 1u);
  source.by_responder.clear();
  cache->set_configured({{whole, "files"}});
  staples->set_configured({{whole, "files"}});
  advance(3s);
  EXPECT_NE(stapled("own.test"), nullptr);
  EXPECT_EQ(cache->find(name_of("own.test"))->chain().size(), whole->chain().size());
  advance(60h);
  EXPECT_EQ(cache->find(name_of("own.test"))->chain().size(), whole->chain().size());
}

TEST_F(StaplesTest, AConfiguredCertificatesStapleSurvivesARestart) {
  start();
  const std::vector<ConfiguredCertificate> all{{make("own.test"), "files"}};
  staples->set_configured(all);
  advance(3s);
  all_fail();
  start();
  cache->set_configured(all);
  staples->set_configured(all);
  advance(3s);
  EXPECT_NE(stapled("own.test"), nullptr);
  EXPECT_EQ(source.asked.size(), 1u);
  advance(97h);
  EXPECT_EQ(stapled("own.test"), nullptr);
  EXPECT_EQ(staples->counts().dropped.value(), 1u);
}

TEST_F(StaplesTest, WhatIsConfiguredNoMoreIsAskedAboutNoMore) {
  start();
  const CertificatePtr own = make("own.test");
  staples->set_configured({{own, "files"}});
  advance(3s);
  staples->set_configured({});
  advance(3s);
  EXPECT_TRUE(store.staples.empty());
  advance(96h);
  EXPECT_EQ(source.asked.size(), 1u);
}

// Imported, and then taken out of the configuration.
TEST_F(StaplesTest, WhatIsConfiguredNoMoreSinceARestartAndIsStoredIsLookedAfter) {
  start();
  const CertificatePtr own = make("own.test");
  store.set_certificate(name_of("own.test"), own, "ca");
  staples->set_configured({{own, "files"}});
  advance(3s);
  const StaplePtr first = row(*own).staple;
  ASSERT_NE(first, nullptr);
  start();
  cache->put(name_of("own.test"), own->with_staple(first));
  advance(95h);
  ASSERT_NE(stapled("own.test"), nullptr);
  EXPECT_NE(stapled("own.test")->der, first->der);
}

TEST_F(StaplesTest, WhatWasDroppedWhileItWasConfiguredIsAskedForWhenItIsLoaded) {
  start();
  const CertificatePtr own = make("own.test");
  store.set_certificate(name_of("own.test"), own, "ca");
  advance(3s);
  row(*own).staple = nullptr;
  row(*own).look_at = RenewalPlan::kNever;
  start();
  cache->put(name_of("own.test"), own);
  staples->see(name_of("own.test"), Slot::kMain, own);
  advance(3s);
  EXPECT_NE(stapled("own.test"), nullptr);
}

TEST_F(StaplesTest, ACertificateThatIsConfiguredAndStoredIsAskedAboutOnce) {
  start();
  const CertificatePtr own = make("own.test");
  staples->set_configured({{own, "files"}});
  store.set_certificate(name_of("own.test"), own, "ca");
  advance(24h);
  EXPECT_EQ(source.asked.size(), 1u);
}

TEST_F(StaplesTest, AConfiguredCertificateThatIsRevokedIsToldOfOnce) {
  start();
  const CertificatePtr own = make("own.test");
  source.answers.insert_or_assign(own->serial(), FakeSource::revoked("superseded"));
  staples->set_configured({{own, "files"}});
  advance(30 * 24h);
  EXPECT_EQ(told.size(), 1u);
  EXPECT_EQ(source.asked.size(), 1u);
}

// --- before a certificate is used

TEST_F(StaplesTest, ASuccessorGetsItsStapleFirst) {
  start();
  const CertificatePtr made = make("a.test");
  const auto got = finish(staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s), 5s);
  ASSERT_TRUE(got);
  ASSERT_NE((*got)->staple(), nullptr);
  EXPECT_TRUE((*got)->same_leaf(*made));
  advance(1s);
  EXPECT_NE(row(*made).staple, nullptr);
}

TEST_F(StaplesTest, AResponderThatDoesNotKnowTheSuccessorYetIsAskedAgain) {
  start();
  const CertificatePtr made = make("a.test");
  const Error unknown{ErrorCode::kNotFound, "unauthorized"};
  source.answers.insert_or_assign(made->serial(), unknown);
  Task<CertificatePtr> waiting = staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s);
  waiting.start();
  advance(10s);
  EXPECT_FALSE(waiting.done());
  EXPECT_GE(source.asked.size(), 2u);
  source.answers.clear();
  advance(20s);
  ASSERT_TRUE(waiting.done());
  EXPECT_NE((*waiting.outcome())->staple(), nullptr);
  EXPECT_LE(source.asked.size(), 6u);
}

TEST_F(StaplesTest, ASuccessorIsUsedWithoutAStapleWhenPatienceEnds) {
  start();
  source.hung.insert(kResponder);
  const CertificatePtr made = make("a.test");
  Task<CertificatePtr> waiting = staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s);
  waiting.start();
  advance(59s);
  EXPECT_FALSE(waiting.done());
  advance(2s);
  ASSERT_TRUE(waiting.done());
  EXPECT_EQ(*waiting.outcome(), made);
}

TEST_F(StaplesTest, ForAResponderThatIsDownASuccessorDoesNotWait) {
  start();
  all_fail();
  for (int i = 0; i < 8; ++i) add("n" + std::to_string(i) + ".test");
  advance(5s);
  const CertificatePtr made = make("a.test");
  const auto got = finish(staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s), 1s);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, made);
}

TEST_F(StaplesTest, ARevokedSuccessorIsNotWaitedFor) {
  start();
  const CertificatePtr made = add("a.test");
  source.answers.insert_or_assign(made->serial(), FakeSource::revoked("keyCompromise"));
  const auto got = finish(staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s), 5s);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, made);
  EXPECT_EQ(told.size(), 1u);
}

TEST_F(StaplesTest, WhoStopsWaitingLeavesTheFetch) {
  start();
  const CertificatePtr made = add("a.test");
  {
    Task<CertificatePtr> waiting = staples->with_staple(name_of("a.test"), Slot::kMain, made, 60s);
    waiting.start();
    advance(10ms);
  }
  advance(3s);
  EXPECT_NE(stapled("a.test"), nullptr);
  EXPECT_EQ(source.asked.size(), 1u);
}

}  // namespace
}  // namespace latchkey::staples_test
