#include "acme/issuer.h"

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using IssuerTest = IssuerFixture;

TEST_F(IssuerTest, ANameGetsItsCertificate) {
  const auto certificate = obtain();
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_TRUE((*certificate)->covers(a));
  EXPECT_EQ(issuer->counts().orders.value(), 1u);
  EXPECT_EQ(issuer->counts().failures.value(), 0u);
  EXPECT_EQ(ca.requests["/nonce"], 1) << "answers carry the next nonce";
  EXPECT_TRUE(nothing_is_offered());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(IssuerTest, EveryCertificateHasItsOwnKey) {
  const auto first = obtain("a.test");
  const auto second = obtain("a.test");
  ASSERT_TRUE(first && second);
  EXPECT_NE(private_key_to_der((*first)->key()), private_key_to_der((*second)->key()));
}

TEST_F(IssuerTest, ManyAtOnceShareDirectoryAndAccount) {
  std::deque<Task<CertificatePtr>> tasks;
  for (int i = 0; i < 20; ++i) {
    tasks.push_back(issuer->obtain(*ServerName::parse("n" + std::to_string(i) + ".test")));
    tasks.back().start();
  }
  for (auto& task : tasks) run(task, 1min);
  for (auto& task : tasks) {
    ASSERT_TRUE(task.done());
    EXPECT_TRUE(task.outcome()) << task.outcome().error().message;
  }
  EXPECT_EQ(ca.requests["/dir"], 1);
  EXPECT_EQ(ca.accounts_made, 1);
}

TEST_F(IssuerTest, TheOneWhoStartedTheRegistrationMayLeave) {
  std::optional<Task<CertificatePtr>> first = issuer->obtain(*ServerName::parse("first.test"));
  first->start();
  Task<CertificatePtr> second = issuer->obtain(a);
  second.start();
  clock.advance(1ms);
  first.reset();
  run(second, 1min);
  ASSERT_TRUE(second.done());
  EXPECT_TRUE(second.outcome());
  EXPECT_EQ(ca.accounts_made, 1);
}

TEST_F(IssuerTest, TheKeyIsStoredBeforeTheCaHearsOfIt) {
  std::optional<size_t> stored_by_then;
  ca.intercept = [&](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (request.url.ends_with("/account")) stored_by_then = store.account_puts.size();
    return std::nullopt;
  };
  ASSERT_TRUE(obtain());
  EXPECT_EQ(stored_by_then, 1u);
  ASSERT_EQ(store.account_puts.size(), 2u);
  EXPECT_EQ(store.account_puts[0].url, "");
  EXPECT_EQ(store.account_puts[1].key_der, store.account_puts[0].key_der);
  EXPECT_EQ(store.account_puts[1].url, "https://ca.test/acct/1");
}

TEST_F(IssuerTest, AnAccountWhoseAnswerWasLostIsFoundAgain) {
  ASSERT_TRUE(obtain());
  store.accounts.begin()->second.url = "";  // as if we had died before we could store it
  restart();
  ASSERT_TRUE(obtain());
  EXPECT_EQ(ca.accounts_made, 1);
  EXPECT_EQ(store.accounts.begin()->second.url, "https://ca.test/acct/1");
}

TEST_F(IssuerTest, AStoredAccountIsUsedWithoutAsking) {
  ASSERT_TRUE(obtain());
  restart();
  ASSERT_TRUE(obtain());
  EXPECT_EQ(ca.requests["/account"], 1);
}

TEST_F(IssuerTest, AnAccountThatTheCaForgotIsRegisteredAnewOnce) {
  ASSERT_TRUE(obtain());
  ca.forget_accounts();
  ASSERT_TRUE(obtain());
  EXPECT_EQ(ca.accounts_made, 2);
  EXPECT_EQ(store.accounts.begin()->second.url, "https://ca.test/acct/2");

  answer("/new-order", FakeAcmeServer::problem(400, "accountDoesNotExist"));
  EXPECT_THAT(error(), HasSubstr("accountDoesNotExist"));
  EXPECT_EQ(failure->failure, FailureClass::kAccount);
  EXPECT_EQ(ca.requests["/account"], 4) << "looked up once more, not for ever";
}

TEST_F(IssuerTest, AFullStoreEndsItBeforeTheCaHearsAnything) {
  store.broken = Error{ErrorCode::kIo, "the disk is full; free some space"};
  EXPECT_THAT(error(), HasSubstr("the disk is full; free some space"));
  EXPECT_EQ(ca.requests.size(), 0u);
}

TEST_F(IssuerTest, AnUnusableStoredKeyIsAClearError) {
  store.accounts[options.directory] = {options.directory, "", "garbage"};
  EXPECT_THAT(error(), HasSubstr("the stored account key for https://ca.test/dir cannot be used"));
}

TEST_F(IssuerTest, TermsAreAcceptedOnlyWhenTheOperatorSaysSo) {
  ca.meta = R"({"termsOfService":"https://ca.test/terms"})";
  EXPECT_THAT(error(), HasSubstr("read https://ca.test/terms and set accept_terms"));
  EXPECT_EQ(ca.requests["/account"], 0);
  options.accept_terms = true;
  options.email = "me@example.com";
  restart();
  ASSERT_TRUE(obtain());
  EXPECT_EQ(ca.last_registration,
            R"({"termsOfServiceAgreed":true,"contact":["mailto:me@example.com"]})");
}

TEST_F(IssuerTest, ACaThatWantsABindingIsRefusedClearly) {
  ca.meta = R"({"externalAccountRequired":true})";
  EXPECT_THAT(error(), HasSubstr("external account binding"));
}

TEST_F(IssuerTest, BadNoncesAreRetriedFiveTimesAndNoMore) {
  ASSERT_TRUE(obtain());
  ca.reject_nonces = 5;
  ASSERT_TRUE(obtain());
  EXPECT_EQ(issuer->counts().bad_nonces.value(), 5u);
  ca.reject_nonces = 1'000'000;
  EXPECT_THAT(error(), HasSubstr("rejected 6 nonces in a row"));
}

TEST_F(IssuerTest, AnAnswerWithoutUseStillBringsItsNonce) {
  ASSERT_TRUE(obtain());
  const auto lost = [](const HttpRequest& request, const std::string&) {
    const bool hit = request.url.find("/authz/") != std::string::npos;
    return hit ? std::optional(FakeAcmeServer::json(503, "")) : std::nullopt;
  };
  ca.intercept = lost;
  EXPECT_FALSE(obtain());
  ca.intercept = nullptr;
  EXPECT_TRUE(obtain());
}

TEST_F(IssuerTest, AFailedTlsChallengeIsMadeGoodByHttpInANewOrder) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  ASSERT_TRUE(obtain());
  EXPECT_EQ(issuer->counts().orders.value(), 2u);
  EXPECT_EQ(challenges.http_answers.value(), 1u);
  ASSERT_TRUE(obtain());
  EXPECT_EQ(issuer->counts().orders.value(), 3u) << "what worked comes first";
}

TEST_F(IssuerTest, AFailedHttpChallengeIsMadeGoodByTls) {
  options.challenges = {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01};
  restart();
  ca.unreachable = {ChallengeType::kHttp01};
  ASSERT_TRUE(obtain());
  EXPECT_EQ(issuer->counts().orders.value(), 2u);
  EXPECT_EQ(challenges.tls_alpn_answers.value(), 1u);
}

TEST_F(IssuerTest, ThereIsOneFallBackAndTheErrorTellsOfBoth) {
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  const std::string text = error();
  EXPECT_THAT(text, HasSubstr("by http-01: connection: no answer at a.test; before that: "));
  EXPECT_THAT(text, HasSubstr("by tls-alpn-01: connection: no answer at a.test"));
  EXPECT_EQ(issuer->counts().orders.value(), 2u);
  EXPECT_EQ(issuer->counts().failures.value(), 1u);
  EXPECT_EQ(failure->failure, FailureClass::kConnection);
  EXPECT_EQ(failure->answered, ChallengeType::kHttp01);
  EXPECT_TRUE(nothing_is_offered());
}

TEST_F(IssuerTest, WithOneTypeConfiguredThereIsNoFallBack) {
  options.challenges = {ChallengeType::kHttp01};
  restart();
  ca.unreachable = {ChallengeType::kHttp01};
  EXPECT_THAT(error(), HasSubstr("by http-01"));
  EXPECT_EQ(issuer->counts().orders.value(), 1u);
}

TEST_F(IssuerTest, ATypeThatTheCaDoesNotOfferIsNotMissed) {
  ca.offered = {"dns-01", "http-01"};
  ASSERT_TRUE(obtain());
  EXPECT_EQ(issuer->counts().orders.value(), 1u);
  ca.offered = {"dns-01"};
  EXPECT_THAT(error(), HasSubstr("it offers dns-01; we can answer"));
}

TEST_F(IssuerTest, ValidAuthorizationsNeedNoProof) {
  ca.authorization_is = "valid";
  ca.authorizations = 3;
  ASSERT_TRUE(obtain());
  EXPECT_EQ(challenges.tls_alpn_answers.value() + challenges.http_answers.value(), 0u);
}

TEST_F(IssuerTest, SeveralAuthorizationsAreAllProven) {
  ca.authorizations = 3;
  ASSERT_TRUE(obtain());
  EXPECT_EQ(challenges.tls_alpn_answers.value(), 3u);
}

TEST_F(IssuerTest, AuthorizationsThatAreOverFailTheOrder) {
  for (const char* status : {"invalid", "deactivated", "expired", "revoked"}) {
    ca.authorization_is = status;
    EXPECT_NE(error(), "it was obtained") << status;
  }
  EXPECT_EQ(issuer->counts().orders.value(), 4u) << "and no second one";
}

TEST_F(IssuerTest, PollsAreFastFirstAndThenSlow) {
  ca.latency = 0ms;
  store.delay = 0ms;
  ca.validation_polls = 0;
  ca.processing_polls = 0;
  const TimePoint before = clock.now();
  ASSERT_TRUE(obtain());
  EXPECT_LT(clock.now() - before, 40ms);
  ca.processing_polls = 12;
  ASSERT_TRUE(obtain());
  const Millis took = clock.now() - before;
  EXPECT_GT(took, 20s) << "20, 40, … 2560, 5000, 5000, … ms";
  EXPECT_LT(took, 40s);
}

TEST_F(IssuerTest, RetryAfterIsObeyed) {
  ca.retry_after = "30";
  ca.validation_polls = 1;
  ca.processing_polls = 1;
  const TimePoint before = clock.now();
  ASSERT_TRUE(obtain());
  EXPECT_GE(clock.now() - before, 60s);
  EXPECT_LT(clock.now() - before, 65s);
  ca.retry_after = "86400";
  EXPECT_THAT(error(), HasSubstr("asks us to come back in 86400 s, which is after our time limit"));
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
}

TEST_F(IssuerTest, AnOrderThatNeverEndsIsGivenUpAfterTenMinutes) {
  ca.processing_polls = 1'000'000;
  const TimePoint before = clock.now();
  EXPECT_THAT(error(), HasSubstr("no certificate within 10m; it was waiting for the order"));
  EXPECT_GE(clock.now() - before, 10min);
  EXPECT_LE(clock.now() - before, 10min + 1s);
  EXPECT_LT(ca.requests["/order"], 200);
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(IssuerTest, PreparingLeavesOnlyTheOrderForLater) {
  Task<> task = issuer->prepare();
  task.start();
  for (int i = 0; i < 50; ++i) clock.advance(1ms);
  ASSERT_TRUE(task.done());
  ASSERT_TRUE(task.outcome());
  EXPECT_EQ(ca.accounts_made, 1);
  const int before = ca.requests["/dir"] + ca.requests["/nonce"] + ca.requests["/account"];
  ASSERT_TRUE(obtain());
  EXPECT_EQ(ca.requests["/dir"] + ca.requests["/nonce"] + ca.requests["/account"], before);
}

// Lets go at every moment of test time, also during the fall-back and a second registration.
TEST_F(IssuerTest, ItCanBeDroppedAtEveryWait) {
  const auto each_moment = [&](const std::function<void()>& arrange) {
    int moments = 0;
    for (bool done = false; !done; ++moments) {
      arrange();
      Task<CertificatePtr> task = issuer->obtain(a);
      task.start();
      for (int i = 0; i < moments && !task.done(); ++i) clock.advance(1ms);
      done = task.done();
      task = {};
      EXPECT_TRUE(nothing_is_offered());
    }
    clock.advance(1min);  // a registration under way goes on
    EXPECT_EQ(clock.pending(), 0u);
    return moments;
  };
  EXPECT_GT(each_moment([&] {
              clock.advance(1min);
              store.accounts.clear();
              restart();
            }),
            100);
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  EXPECT_GT(each_moment([&] {
              clock.advance(1min);
              restart();
            }),
            100);
  ca.unreachable.clear();
  EXPECT_GT(each_moment([&] { ca.forget_accounts(); }), 100);
}

}  // namespace
}  // namespace latchkey::acme
