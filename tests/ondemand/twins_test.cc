// Certificates for clients that cannot do ECDSA, and wildcards that the ask's word allows.
#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class TwinsTest : public OnDemandTest {
 protected:
  std::string twin(const std::string& text) { return side->obtain(text, 30min, Slot::kRsa); }
};

TEST_F(TwinsTest, ATwinIsObtainedForItsOwnVisitAndKeptBesideTheOther) {
  const std::string main = side->obtain("a.listed.test");
  const std::string rsa = twin("a.listed.test");
  EXPECT_NE(main, rsa);
  EXPECT_EQ(side->orders(), 2);
  const ServerName name = name_of("a.listed.test");
  EXPECT_EQ(side->cache.find(name)->serial(), main);
  ASSERT_NE(side->cache.find(name, Slot::kRsa), nullptr);
  EXPECT_TRUE(side->cache.find(name, Slot::kRsa)->is_rsa());
  EXPECT_EQ(side->first.last_job->slot, Slot::kRsa);
}

TEST_F(TwinsTest, BothAreServedFromTheStoreAfterARestart) {
  const std::string main = side->obtain("a.listed.test");
  const std::string rsa = twin("a.listed.test");
  start();
  EXPECT_EQ(twin("a.listed.test"), rsa);
  EXPECT_EQ(side->obtain("a.listed.test"), main);
  EXPECT_EQ(side->orders(), 0);
}

// They would answer the challenges of the same name.
TEST_F(TwinsTest, TheOrdersOfOneNameComeOneAfterTheOther) {
  OnDemandOptions options;
  options.max_orders = 5;
  start(options);
  int served = 0;
  const auto count = [&served](const Result<CertificatePtr>& outcome) {
    served += outcome.has_value();
  };
  side->gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  side->rsa_gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  clock.advance(10s);
  EXPECT_EQ(served, 2);
  EXPECT_EQ(side->first.most_in_flight, 1);
  EXPECT_EQ(side->orders(), 2);
}

TEST_F(TwinsTest, CallingOffANameEndsBothOfItsOrders) {
  int refused = 0;
  const auto count = [&refused](const Result<CertificatePtr>& outcome) {
    refused += !outcome.has_value();
  };
  side->gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  side->rsa_gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  clock.advance(500ms);
  const Error why{ErrorCode::kThrottled, "called off"};
  EXPECT_TRUE(side->issuances.call_off(name_of("a.listed.test"), why));
  clock.advance(1s);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(side->issuances.running(), 0u);
  EXPECT_TRUE(store.certificates.empty());
}

TEST_F(TwinsTest, ANameThatIsToHaveAnRsaCertificateNeedsNoTwin) {
  http.body = R"({"key_type": "rsa2048"})";
  EXPECT_FALSE(twin("shop.asked.test").starts_with("!"));
  EXPECT_EQ(side->first.last_job->slot, Slot::kMain);
}

TEST_F(TwinsTest, AFailureOfOneIsTheNamesFailure) {
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_TRUE(twin("a.listed.test").starts_with("!"));
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(TwinsTest, WhatHasJustFailedForOneIsNotTriedForTheOther) {
  OnDemandOptions options;
  options.max_orders = 5;
  start(options);
  side->first.trouble = own_failure();
  int refused = 0;
  const auto count = [&refused](const Result<CertificatePtr>& outcome) {
    refused += !outcome.has_value();
  };
  side->gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  side->rsa_gate.join(name_of("a.listed.test"), Lane::kHandshake, count);
  clock.advance(10s);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(side->orders(), 1);
}

class WildcardGrantTest : public OnDemandTest {
 protected:
  WildcardGrantTest() {
    http.body = R"({"wildcard": true, "upstream": "http://127.0.0.1:3000"})";
    side->first.wildcards = side->second.wildcards = true;
  }
  static ServerName wildcard() { return *ServerName::parse_wildcard("*.tenant.test"); }
};

TEST_F(WildcardGrantTest, OneOrderServesAllNamesUnderIt) {
  const std::string serial = side->obtain("a.tenant.test");
  EXPECT_EQ(side->obtain("b.tenant.test"), serial);
  EXPECT_EQ(side->orders(), 1);
  EXPECT_EQ(side->first.last_job->name, wildcard());
  EXPECT_TRUE(store.certificates.contains(wildcard()));
  const CacheHit hit = side->cache.look_up(name_of("a.tenant.test"), clock.wall_now());
  ASSERT_NE(hit.certificate, nullptr);
  EXPECT_EQ(hit.certificate->serial(), serial);
  ASSERT_NE(hit.grant, nullptr);
  EXPECT_EQ(hit.grant->upstream, "http://127.0.0.1:3000");
}

// Its visits find the wildcard in memory and do not come to the gate.
TEST_F(WildcardGrantTest, ANameThatTheWildcardServesIsAskedAboutBesideItsVisit) {
  side->obtain("a.tenant.test");
  const ServerName other = name_of("b.tenant.test");
  EXPECT_FALSE(side->cache.look_up(other, clock.wall_now()).exact);
  http.body = R"({"wildcard": true, "upstream": "http://127.0.0.1:4000"})";
  Want want(Lane::kPrefetch);
  Task<Unit> recheck = side->coordinator.recheck(other, want);
  recheck.start();
  clock.advance(1s);
  const CacheHit hit = side->cache.look_up(other, clock.wall_now());
  ASSERT_NE(hit.certificate, nullptr);
  EXPECT_TRUE(hit.exact);
  ASSERT_NE(hit.grant, nullptr);
  EXPECT_EQ(hit.grant->upstream, "http://127.0.0.1:4000");
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(WildcardGrantTest, ADeniedNameUnderTheWildcardIsAskedAboutOnceWhileTheDenialHolds) {
  side->obtain("a.tenant.test");
  http.status = 403;
  const int calls = http.calls;
  const int reads = store.reads;
  const size_t entries = side->cache.size();
  Want want(Lane::kPrefetch);
  for (int i = 0; i < 3; ++i) {
    Task<Unit> recheck = side->coordinator.recheck(name_of("evil.tenant.test"), want);
    recheck.start();
    clock.advance(1s);
  }
  EXPECT_EQ(http.calls, calls + 1);
  EXPECT_EQ(store.reads, reads + 1);
  EXPECT_EQ(side->cache.size(), entries);
}

TEST_F(WildcardGrantTest, ANameAboutWhichNothingIsKnownYetIsAskedAboutUntilThereIsAWord) {
  side->obtain("a.tenant.test");
  start();
  store.verdicts.clear();
  side->obtain("a.tenant.test");
  http.status = 500;
  const ServerName other = name_of("b.tenant.test");
  Want want(Lane::kPrefetch);
  Task<Unit> recheck = side->coordinator.recheck(other, want);
  recheck.start();
  clock.advance(10s);
  ASSERT_TRUE(recheck.done());
  EXPECT_FALSE(side->cache.look_up(other, clock.wall_now()).recheck_due);
  clock.advance(1min);
  EXPECT_TRUE(side->cache.look_up(other, clock.wall_now()).recheck_due);
}

// The endpoint may allow whatever is under it.
TEST_F(WildcardGrantTest, NamesThatAreInventedUnderItDoNotFillTheStore) {
  side->obtain("a.tenant.test");
  Want want(Lane::kPrefetch);
  const auto recheck = [&](const std::string& name) {
    Task<Unit> task = side->coordinator.recheck(name_of(name), want);
    task.start();
    clock.advance(1s);
    EXPECT_TRUE(task.done());
  };
  for (int i = 0; i < 1100; ++i) recheck("n" + std::to_string(i) + ".tenant.test");
  clock.advance(1min);
  EXPECT_EQ(store.verdicts.size(), 1001u);
  EXPECT_NE(side->cache.look_up(name_of("n1099.tenant.test"), clock.wall_now()).grant, nullptr);
  clock.advance(1h);
  recheck("late.tenant.test");
  clock.advance(1min);
  EXPECT_TRUE(store.verdicts.contains(name_of("late.tenant.test")));
}

TEST_F(WildcardGrantTest, NamesThatComeAtOnceShareTheOrder) {
  int served = 0;
  for (const char* name : {"a.tenant.test", "b.tenant.test", "c.tenant.test"}) {
    side->gate.join(
        name_of(name), Lane::kHandshake,
        [&served](const Result<CertificatePtr>& outcome) { served += outcome.has_value(); });
  }
  clock.advance(10s);
  EXPECT_EQ(served, 3);
  EXPECT_EQ(side->orders(), 1);
}

TEST_F(WildcardGrantTest, AFailureIsTheWildcardsAndKeepsAllItsNamesAway) {
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("a.tenant.test"));
  EXPECT_TRUE(side->refused("b.tenant.test"));
  EXPECT_TRUE(side->refused("a.tenant.test"));
  EXPECT_EQ(side->orders(), 1);
  EXPECT_TRUE(store.failures.contains(wildcard()));
  const int reads = store.reads;
  EXPECT_TRUE(side->refused("a.tenant.test"));
  EXPECT_EQ(store.reads, reads);
}

TEST_F(WildcardGrantTest, AWildcardFromBeforeTheGrantSaidRsaIsOfNoUseToWhoNeedsRsa) {
  const std::string before = side->obtain("a.tenant.test");
  http.body = R"({"wildcard": true, "key_type": "rsa2048"})";
  const std::string rsa = side->obtain("b.tenant.test", 30min, Slot::kRsa);
  EXPECT_FALSE(rsa.starts_with("!")) << rsa;
  EXPECT_NE(rsa, before);
  const CertificatePtr served = side->cache.find(name_of("b.tenant.test"), Slot::kRsa);
  ASSERT_NE(served, nullptr);
  EXPECT_EQ(served->serial(), rsa);
  EXPECT_EQ(side->orders(), 2);
}

TEST_F(WildcardGrantTest, WithoutAnIssuerThatCanProveOneTheNameAloneIsOrdered) {
  side->first.wildcards = side->second.wildcards = false;
  EXPECT_FALSE(side->refused("a.tenant.test"));
  EXPECT_EQ(side->first.last_job->name, name_of("a.tenant.test"));
}

TEST_F(WildcardGrantTest, NoWildcardOfAPublicSuffixIsOrdered) {
  EXPECT_FALSE(side->refused("shop.com"));
  EXPECT_EQ(side->first.last_job->name, name_of("shop.com"));
}

TEST_F(WildcardGrantTest, AStoredWildcardIsServedWithTheNamesOwnGrant) {
  side->obtain("a.tenant.test");
  start();
  side->first.wildcards = true;
  EXPECT_FALSE(side->refused("a.tenant.test"));
  EXPECT_EQ(side->orders(), 0);
  const CacheHit hit = side->cache.look_up(name_of("a.tenant.test"), clock.wall_now());
  ASSERT_NE(hit.grant, nullptr);
}

TEST_F(WildcardGrantTest, AWildcardThatNobodyCanProveIsAnErrorThatNamesTheRemedy) {
  side->first.wildcards = side->second.wildcards = false;
  Issuances::Job job{wildcard()};
  Want want(Lane::kRenewal);
  Task<CertificatePtr> issuing = side->issuances.issue(std::move(job), want);
  issuing.start();
  clock.advance(1s);
  ASSERT_TRUE(issuing.done());
  ASSERT_FALSE(issuing.outcome());
  EXPECT_NE(issuing.outcome().error().message.find("dns-01"), std::string::npos);
}

}  // namespace
}  // namespace latchkey
