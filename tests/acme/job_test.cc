// What a job asks of an issuance: profile, key, its word on a second order, and to be told.

#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "tests/acme/issuer_fixture.h"
#include "tests/support/key_facts.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class JobTest : public IssuerFixture {
 protected:
  std::string order_for(IssuanceJob wanted) {
    std::string order;
    ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
      if (request.url.ends_with("/new-order")) order = payload;
      return std::optional<HttpReply>();
    };
    EXPECT_TRUE(obtain(std::move(wanted)));
    ca.intercept = nullptr;
    return order;
  }
};

TEST_F(JobTest, TheProfileIsAskedForWhereTheCaHasIt) {
  ca.meta = R"({"profiles":{"classic":"https://ca.test/1","shortlived":"https://ca.test/2"}})";
  IssuanceJob wanted = job();
  EXPECT_THAT(order_for(wanted), Not(HasSubstr("profile")));
  wanted.profile = "shortlived";
  EXPECT_THAT(order_for(wanted), HasSubstr(R"("profile":"shortlived")"));
}

TEST_F(JobTest, AProfileThatTheCaDoesNotHaveIsLeftOut) {
  IssuanceJob wanted = job();
  wanted.profile = "shortlived";
  for (const char* meta : {"{}", R"({"profiles":{"classic":"x"}})",
                           R"({"profiles":["shortlived"]})", R"({"profiles":"shortlived"})"}) {
    ca.meta = meta;
    restart();
    EXPECT_THAT(order_for(wanted), Not(HasSubstr("profile"))) << meta;
  }
}

TEST_F(JobTest, TheIssuersProfileIsAskedForWhereTheJobNamesNone) {
  ca.meta = R"({"profiles":{"classic":"https://ca.test/1","shortlived":"https://ca.test/2"}})";
  options.profile = "classic";
  restart();
  IssuanceJob wanted = job();
  EXPECT_THAT(order_for(wanted), HasSubstr(R"("profile":"classic")"));
  wanted.profile = "shortlived";
  EXPECT_THAT(order_for(wanted), HasSubstr(R"("profile":"shortlived")"));
}

TEST_F(JobTest, ATwinHasAnRsaKeyWhateverTheTypeAndItsOrderIsFiledAsSuch) {
  for (const char* type : {"", "p256", "p384", "ed25519"}) {
    IssuanceJob wanted = job();
    wanted.key_type = type;
    wanted.slot = Slot::kRsa;
    const auto certificate = obtain(std::move(wanted));
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(test::key_bits((*certificate)->key()), 2048);
    EXPECT_TRUE(test::is_rsa((*certificate)->key()));
    ASSERT_TRUE(store.orders.contains({a, Slot::kRsa}));
  }
  ASSERT_TRUE(obtain());
  EXPECT_TRUE(store.orders.contains({a, Slot::kMain})) << "beside it";
  EXPECT_EQ(store.orders.size(), 2u);
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  IssuanceJob wanted = job();
  wanted.slot = Slot::kRsa;
  EXPECT_FALSE(obtain(std::move(wanted)));
  EXPECT_TRUE(store.orders.contains({a, Slot::kMain})) << "the other one's is let alone";
  EXPECT_EQ(store.orders.size(), 1u);
}

TEST_F(JobTest, AStapleIsAskedForWhereTheIssuerIsToldTo) {
  std::string csr;
  ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
    if (request.url.find("/finalize/") != std::string::npos) {
      csr = *base64url_decode(parse_json(payload)->text_of("csr"));
    }
    return std::optional<HttpReply>();
  };
  const std::string feature("\x2b\x06\x01\x05\x05\x07\x01\x18", 8);  // RFC 7633
  ASSERT_TRUE(obtain());
  EXPECT_THAT(csr, Not(HasSubstr(feature)));
  options.must_staple = true;
  restart();
  ASSERT_TRUE(obtain());
  EXPECT_THAT(csr, HasSubstr(feature));
}

TEST_F(JobTest, KeysAreOfTheTypeAskedFor) {
  const struct {
    const char* type;
    int bits;
    bool rsa;
  } cases[] = {{"", 256, false},
               {"p256", 256, false},
               {"p384", 384, false},
               {"rsa2048", 2048, true},
               {"ed25519", 256, false}};
  for (const auto& c : cases) {
    IssuanceJob wanted = job();
    wanted.key_type = c.type;
    const auto certificate = obtain(std::move(wanted));
    ASSERT_TRUE(certificate) << c.type << ": " << certificate.error().message;
    EXPECT_EQ(test::key_bits((*certificate)->key()), c.bits) << c.type;
    EXPECT_EQ(test::is_rsa((*certificate)->key()), c.rsa) << c.type;
  }
}

TEST_F(JobTest, RsaKeysAreMadeElsewhereWhereThereIsAHome) {
  Loop loop;
  options.home = loop.address();
  restart();
  IssuanceJob wanted = job();
  wanted.key_type = "rsa2048";
  Task<CertificatePtr> dropped = issuer->obtain(wanted);
  dropped.start();
  for (int i = 0; i < 50; ++i) clock.advance(1ms);
  Task<CertificatePtr> task = issuer->obtain(wanted);
  task.start();
  for (int i = 0; i < 50; ++i) clock.advance(1ms);
  EXPECT_EQ(ca.requests["/new-order"], 0) << "the key comes by letter";
  dropped = {};
  loop.run_until([&] {
    clock.advance(1ms);
    return ca.requests["/new-order"] != 0;
  });
  run(task, 1min);
  ASSERT_TRUE(task.done());
  ASSERT_TRUE(task.outcome()) << task.outcome().error().message;
  EXPECT_TRUE(test::is_rsa((*task.outcome())->key()));
}

TEST_F(JobTest, ASecondOrderIsMadeOnlyWithTheJobsConsent) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  int asked = 0;
  IssuanceJob wanted = job();
  wanted.may_order_again = [&] {
    ++asked;
    return false;
  };
  EXPECT_FALSE(obtain(wanted));
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(ca.requests["/new-order"], 1);
  restart();  // which forgets what works
  wanted.may_order_again = [&] { return true; };
  EXPECT_TRUE(obtain(wanted));
  EXPECT_EQ(ca.requests["/new-order"], 3);
}

TEST_F(JobTest, NobodyIsAskedWhereThereWouldBeNoSecondOrder) {
  int asked = 0;
  IssuanceJob wanted = job();
  wanted.may_order_again = [&] {
    ++asked;
    return true;
  };
  EXPECT_TRUE(obtain(wanted));
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  wanted.failures = 1;
  EXPECT_FALSE(obtain(wanted));
  answer("/new-order", FakeAcmeServer::problem(400, "rejectedIdentifier"));
  wanted.failures = 0;
  EXPECT_FALSE(obtain(wanted));
  EXPECT_EQ(asked, 0);
}

TEST_F(JobTest, EveryRefusedProofIsTold) {
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  int refused = 0;
  IssuanceJob wanted = job();
  wanted.authorization_failed = [&] { ++refused; };
  const int expected[] = {2, 1, 1, 1, 1};
  for (int failures = 0; failures < 5; ++failures) {
    refused = 0;
    wanted.failures = failures;
    EXPECT_FALSE(obtain(wanted));
    EXPECT_EQ(refused, expected[failures]) << failures;
  }
  EXPECT_EQ(ca.requests["/new-order"], 6);
}

TEST_F(JobTest, WhatIsNoRefusedProofIsNotTold) {
  int refused = 0;
  IssuanceJob wanted = job();
  wanted.authorization_failed = [&] { ++refused; };
  EXPECT_TRUE(obtain(wanted));
  for (const char* part : {"/new-order", "/challenge/", "/finalize/", "/cert/"}) {
    answer(part, FakeAcmeServer::problem(403, "unauthorized"));
    EXPECT_FALSE(obtain(wanted)) << part;
  }
  ca.intercept = nullptr;
  ca.authorization_is = "invalid";
  EXPECT_FALSE(obtain(wanted));
  EXPECT_EQ(refused, 0);
}

TEST_F(JobTest, ASlowCaIsToldOfOnce) {
  std::vector<TimePoint> slow;
  IssuanceJob wanted = job();
  wanted.slow = [&] { slow.push_back(clock.now()); };
  ca.processing_polls = 7;
  EXPECT_TRUE(obtain(wanted));
  EXPECT_TRUE(slow.empty()) << "under 30 s";
  ca.processing_polls = 30;
  EXPECT_TRUE(obtain(wanted));
  EXPECT_EQ(slow.size(), 1u);

  ca.processing_polls = 3;
  ca.retry_after = "100";
  ca.validation_polls = 0;
  const TimePoint before = clock.now();
  EXPECT_TRUE(obtain(wanted));
  ASSERT_EQ(slow.size(), 2u);
  EXPECT_LT(slow[1] - before, 32s) << "at once, not at the next poll";
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(JobTest, ASlowValidationIsNotASlowCertificate) {
  bool slow = false;
  IssuanceJob wanted = job();
  wanted.slow = [&] { slow = true; };
  ca.validation_polls = 30;
  EXPECT_TRUE(obtain(wanted));
  EXPECT_FALSE(slow);
}

TEST_F(JobTest, AStoreThatFailsIsNotTheCasFault) {
  store.broken = Error{ErrorCode::kIo, "the disk is full; free some space"};
  EXPECT_FALSE(obtain(job()));
  EXPECT_EQ(failure->failure, FailureClass::kStorage);
  store.broken.reset();
  ca.intercept = [&](const HttpRequest& request, const std::string&) {
    if (request.url.ends_with("/account")) store.broken = Error{ErrorCode::kIo, "full"};
    return std::optional<HttpReply>();
  };
  EXPECT_FALSE(obtain(job()));
  EXPECT_EQ(failure->failure, FailureClass::kStorage);
  store.broken.reset();
  answer("/new-order", FakeAcmeServer::json(500, ""));
  EXPECT_FALSE(obtain(job()));
  EXPECT_EQ(failure->failure, FailureClass::kServerInternal) << "that was then";
}

TEST_F(JobTest, WhatAPersonMustDoIsInTheMessage) {
  HttpReply reply = FakeAcmeServer::problem(403, "userActionRequired", "new terms");
  reply.body.insert(1, R"("instance":"https://ca.test/agree?id=7",)");
  answer("/new-order", reply);
  const auto outcome = obtain();
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("visit https://ca.test/agree?id=7"));
  EXPECT_EQ(failure->failure, FailureClass::kUserActionRequired);
}

TEST_F(JobTest, ItCanBeDroppedAtEveryWait) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  ca.processing_polls = 12;
  int told = 0;
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    clock.advance(1min);
    store.accounts.clear();
    restart();
    IssuanceJob wanted = job();
    wanted.key_type = "p384";
    wanted.may_order_again = [] { return true; };
    wanted.authorization_failed = [&] { ++told; };
    wanted.slow = [&] { ++told; };
    wanted.on_failure = [&](const IssuanceFailure&) { ADD_FAILURE() << "it was dropped"; };
    Task<CertificatePtr> task = issuer->obtain(std::move(wanted));
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(i < 150 ? 1ms : 1s);
    done = task.done();
    task = {};
    const int before = told;
    clock.advance(1min);
    EXPECT_EQ(told, before) << "nothing is told after the task has gone";
    EXPECT_TRUE(nothing_is_offered());
  }
  EXPECT_GT(moments, 150);
  EXPECT_EQ(clock.pending(), 0u);
}

}  // namespace
}  // namespace latchkey::acme
