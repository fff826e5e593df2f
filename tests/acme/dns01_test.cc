// Wildcards, and names by DNS-01, against the scripted CA and records in memory.

#include <optional>
#include <string>
#include <utility>

#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Dns01Test : public IssuerFixture {
 protected:
  Dns01Test() { configure({ChallengeType::kTlsAlpn01, ChallengeType::kDns01}); }
  ~Dns01Test() override { EXPECT_EQ(dns.standing(), 0u); }

  void configure(std::vector<ChallengeType> types) {
    options.challenges = std::move(types);
    options.dns = &dns;
    restart();
  }
  int orders() { return ca.requests["/new-order"]; }
  IssuanceJob wildcard() {
    IssuanceJob made = job("*.a.test");
    made.slow = [this] { ++slow; };
    return made;
  }
  IssuanceJob resumed(IssuanceJob wanted) {
    for (const auto& [key, order] : store.orders) wanted.pending = order;
    return wanted;
  }
  // Begins, and is left alone as soon as the CA has answered a request whose URL has `part` in it.
  void die_after(const std::string& part) {
    bool seen = false;
    ca.intercept = [&](const HttpRequest& request, const std::string&) {
      seen = seen || request.url.find(part) != std::string::npos;
      return std::optional<HttpReply>();
    };
    Task<CertificatePtr> task = issuer->obtain(wildcard());
    task.start();
    while (!task.done() && !seen) clock.advance(1ms);
    for (int i = 0; i < 3 && !task.done(); ++i) clock.advance(1ms);
    ASSERT_FALSE(task.done());
    task = {};
    ca.intercept = nullptr;
    restart();
  }

  int slow = 0;
};

TEST_F(Dns01Test, AWildcardIsProvenByDns) {
  EXPECT_TRUE(issuer->proves_wildcards());
  const auto certificate = obtain(wildcard());
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_THAT((*certificate)->names(), ElementsAre("*.a.test"));
  EXPECT_EQ(ca.requests["/challenge/dns-01"], 1);
  EXPECT_EQ(dns.published, 1);
  EXPECT_EQ(dns.standing(), 0u) << "no longer than the CA needs it";
  EXPECT_EQ(slow, 1) << "it leaves the places in the foreground";
}

TEST_F(Dns01Test, ANameMayBeProvenByDnsToo) {
  configure({ChallengeType::kDns01});
  ASSERT_TRUE(obtain());
  EXPECT_EQ(dns.published, 1);
}

TEST_F(Dns01Test, OfBothAWildcardIsProvenBesideItsName) {
  ASSERT_TRUE(obtain("a.test"));
  EXPECT_EQ(dns.published, 0);
  EXPECT_EQ(ca.requests["/challenge/tls-alpn-01"], 1);
  ASSERT_TRUE(obtain(wildcard()));
  EXPECT_EQ(dns.published, 1);
}

TEST_F(Dns01Test, WhereItCannotBeDoneTheErrorSaysHowItCould) {
  const auto expect_refused = [this] {
    const auto outcome = obtain(wildcard());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(outcome.error().message,
              "fake: *.a.test: a wildcard is proven by DNS-01 alone: put \"dns-01\" into "
              "issuers[].acme.challenges of fake, and say in the section `dns` how records are "
              "made");
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->failure, FailureClass::kOther);
    EXPECT_FALSE(issuer->proves_wildcards());
  };
  configure({ChallengeType::kTlsAlpn01, ChallengeType::kHttp01});
  expect_refused();
  configure({ChallengeType::kTlsAlpn01, ChallengeType::kDns01});
  options.dns = nullptr;
  restart();
  expect_refused();
  EXPECT_EQ(ca.requests["/account"], 0) << "nothing is asked of the CA";
  ASSERT_TRUE(obtain("a.test"));

  configure({ChallengeType::kDns01});
  options.dns = nullptr;
  restart();
  EXPECT_THAT(error("b.test"), AllOf(HasSubstr("the section `dns`"), HasSubstr("\"http-01\"")));
}

TEST_F(Dns01Test, AnAddressIsNeverProvenByDns) {
  configure({ChallengeType::kDns01, ChallengeType::kHttp01});
  ASSERT_TRUE(obtain(IssuanceJob{*ServerName::parse_ip("192.0.2.7")}));
  EXPECT_EQ(dns.published, 0);
  configure({ChallengeType::kDns01});
  IssuanceJob wanted{*ServerName::parse_ip("192.0.2.7")};
  const auto outcome = obtain(std::move(wanted));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message,
              AllOf(HasSubstr("192.0.2.7: there is no way to prove it"), HasSubstr("\"http-01\"")));
}

// Whose fault it is; and no order is wasted on it.
TEST_F(Dns01Test, WhereOurDnsFailsTheOrderStaysAndIsGoneOnWith) {
  dns.broken = Error{ErrorCode::kThrottled, "the hook /x ended with status 3: no such zone", 1min};
  const auto outcome = obtain(wildcard());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kIo);
  EXPECT_THAT(outcome.error().message,
              AllOf(HasSubstr("fake: *.a.test: our own DNS did not take the record"),
                    HasSubstr("not the CA's fault"), HasSubstr("`dns` in the configuration"),
                    HasSubstr("the hook /x ended with status 3: no such zone")));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure, FailureClass::kDns);
  EXPECT_FALSE(failure->problem);
  EXPECT_FALSE(failure->answered);
  EXPECT_FALSE(failure->throttle);
  EXPECT_EQ(ca.requests["/challenge/dns-01"], 0);
  ASSERT_EQ(store.orders.size(), 1u);

  restart();
  IssuanceJob again = resumed(wildcard());
  again.failures = 1;
  EXPECT_FALSE(obtain(again));
  EXPECT_EQ(failure->failure, FailureClass::kDns);
  dns.broken.reset();
  again.failures = 2;
  const auto certificate = obtain(again);
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(orders(), 1);
}

TEST_F(Dns01Test, WhereOurDnsFailsANameIsProvenOtherwiseInTheSameOrder) {
  configure({ChallengeType::kDns01, ChallengeType::kHttp01});
  dns.broken = Error{ErrorCode::kIo, "no such zone"};
  const auto certificate = obtain();
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(orders(), 1);
  EXPECT_EQ(ca.requests["/challenge/http-01"], 1);
  dns.broken.reset();
  ASSERT_TRUE(obtain("b.test"));
  EXPECT_EQ(dns.published, 0) << "what works comes first";
}

// What became of the other way is the failure then.
TEST_F(Dns01Test, WhereTheOtherWayFailsTooThatIsTheCause) {
  configure({ChallengeType::kDns01, ChallengeType::kHttp01});
  dns.broken = Error{ErrorCode::kIo, "no such zone"};
  ca.unreachable = {ChallengeType::kHttp01};
  IssuanceJob wanted = job();
  wanted.failures = 2;
  ASSERT_FALSE(obtain(std::move(wanted)));
  EXPECT_EQ(failure->failure, FailureClass::kConnection);
  EXPECT_EQ(failure->answered, ChallengeType::kHttp01);
}

TEST_F(Dns01Test, AProofThatTheCaRefusesIsTheNamesFailure) {
  ca.unreachable = {ChallengeType::kDns01};
  int refused = 0;
  IssuanceJob wanted = wildcard();
  wanted.authorization_failed = [&] { ++refused; };
  const auto outcome = obtain(std::move(wanted));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message,
              HasSubstr("the CA could not validate *.a.test by dns-01: connection"));
  EXPECT_EQ(failure->answered, ChallengeType::kDns01);
  EXPECT_EQ(orders(), 1) << "there is no other way";
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(store.orders.empty());
}

TEST_F(Dns01Test, AFailedChallengeOfAnotherTypeIsMadeGoodByDns) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  ASSERT_TRUE(obtain());
  EXPECT_EQ(orders(), 2);
  EXPECT_EQ(dns.published, 1);
}

TEST_F(Dns01Test, TriesTakeThreeTypesInTurn) {
  configure({ChallengeType::kTlsAlpn01, ChallengeType::kHttp01, ChallengeType::kDns01});
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01, ChallengeType::kDns01};
  std::vector<ChallengeType> tried;
  for (int failures = 0; failures < 4; ++failures) {
    restart();  // remembers nothing
    IssuanceJob wanted = job();
    wanted.failures = failures;
    ASSERT_FALSE(obtain(std::move(wanted)));
    tried.push_back(*failure->answered);
  }
  EXPECT_THAT(
      tried, ElementsAre(ChallengeType::kHttp01,  // the second order of the first try
                         ChallengeType::kHttp01, ChallengeType::kDns01, ChallengeType::kTlsAlpn01));
}

TEST_F(Dns01Test, AnOrderWhoseChallengeWasUnderWayPublishesAgain) {
  die_after("/challenge/");
  EXPECT_EQ(dns.standing(), 0u);
  EXPECT_EQ(slow, 1);
  const auto certificate = obtain(resumed(wildcard()));
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(dns.published, 2);
  EXPECT_EQ(slow, 2);
  EXPECT_EQ(ca.requests["/challenge/dns-01"], 1) << "the CA knows";
  EXPECT_EQ(orders(), 1);
}

TEST_F(Dns01Test, DroppedAtEveryWaitItLeavesNoRecordAndIsGoneOnWith) {
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    SCOPED_TRACE(moments);
    store.orders.clear();
    restart();
    Task<CertificatePtr> task = issuer->obtain(wildcard());
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(1ms);
    done = task.done();
    task = {};
    EXPECT_EQ(dns.standing(), 0u);
    clock.advance(1s);
    const int made = orders();
    const bool was_stored = !store.orders.empty();
    restart();
    const auto certificate = obtain(resumed(wildcard()));
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(orders(), made + (was_stored ? 0 : 1));
  }
  EXPECT_GT(moments, 50);
  clock.advance(1min);
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(Dns01Test, ItHasAnHour) {
  ca.validation_polls = 1'000'000;
  const TimePoint began = clock.now();
  const auto outcome = obtain(wildcard(), 2h);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("no certificate within 1h; it was waiting for"));
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
  EXPECT_GE(clock.now() - began, 1h);
  EXPECT_LE(clock.now() - began, 1h + 1s);
  EXPECT_EQ(store.orders.size(), 1u) << "the next try goes on with it";
}

TEST_F(Dns01Test, WhatIsNotProvenByDnsHasTenMinutes) {
  ca.validation_polls = 1'000'000;
  const TimePoint began = clock.now();
  const auto outcome = obtain("a.test", 2h);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("no certificate within 10m; it was waiting for"));
  EXPECT_LE(clock.now() - began, 10min + 1s);
}

TEST_F(Dns01Test, ARecordThatIsNeverSeenEndsWithTheHour) {
  dns.delay = 3h;
  const auto outcome = obtain(wildcard(), 2h);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message,
              HasSubstr("no certificate within 1h; it was publishing a record for dns-01"));
}

TEST_F(Dns01Test, ItIsSlowOnce) {
  ca.processing_polls = 1'000'000;
  EXPECT_FALSE(obtain(wildcard(), 2h));
  EXPECT_EQ(slow, 1);
}

TEST_F(Dns01Test, APauseThatTheCaAsksForMayBeLongerThanTenMinutes) {
  ca.retry_after = "900";
  ca.validation_polls = 1;
  ca.processing_polls = 0;
  const auto certificate = obtain(wildcard(), 2h);
  ASSERT_TRUE(certificate) << certificate.error().message;
}

TEST_F(Dns01Test, AnAuthorizationThatIsValidAlreadyPublishesNothing) {
  ca.authorization_is = "valid";
  ASSERT_TRUE(obtain(wildcard()));
  EXPECT_EQ(dns.published, 0);
  EXPECT_EQ(slow, 0);
}

TEST_F(Dns01Test, SeveralAuthorizationsArePublishedOneAfterAnother) {
  ca.authorizations = 3;
  ASSERT_TRUE(obtain(wildcard()));
  EXPECT_EQ(dns.published, 3);
}

}  // namespace
}  // namespace latchkey::acme
