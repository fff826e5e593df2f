// Orders of an earlier life: gone on with in every state, given up where nothing comes of them.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ResumeTest : public IssuerFixture {
 protected:
  ResumeTest() { ca.processing_polls = 5; }

  // An order is begun and left alone as soon as the CA has answered a request whose URL has `part`
  // in it for the `nth` time. Then we are a new process.
  void die_after(const std::string& part, int nth = 1) {
    restart();
    int seen = 0;
    ca.intercept = [&](const HttpRequest& request, const std::string&) {
      if (request.url.find(part) != std::string::npos) ++seen;
      const bool last = part == "/cert/";  // nothing comes after it
      return last && seen > 0 ? std::optional(FakeAcmeServer::json(503, "")) : std::nullopt;
    };
    Task<CertificatePtr> task = issuer->obtain(a);
    task.start();
    while (!task.done() && seen < nth) clock.advance(1ms);
    for (int i = 0; i < 3 && !task.done(); ++i) clock.advance(1ms);
    ASSERT_FALSE(task.done());
    task = {};
    ca.intercept = nullptr;
    restart();
  }
  IssuanceJob resumed() {
    IssuanceJob wanted = job();
    const auto found = store.orders.find(a);
    if (found != store.orders.end()) wanted.pending = found->second;
    return wanted;
  }
  int orders() { return ca.requests["/new-order"]; }
  void expect_fresh(const std::string& what) {
    SCOPED_TRACE(what);
    ASSERT_EQ(store.orders.size(), 1u);
    const std::string before = store.orders.begin()->second.url;
    const int made = orders();
    const auto certificate = obtain(resumed());
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(orders(), made + 1);
    ASSERT_EQ(store.orders.size(), 1u) << "the caller ends it when it has stored the certificate";
    EXPECT_NE(store.orders.begin()->second.url, before);
    expect_its_key(*certificate);
  }
  void expect_its_key(const CertificatePtr& certificate) {
    EXPECT_EQ(private_key_to_der(certificate->key()), store.orders.at(a).key_der);
  }
};

TEST_F(ResumeTest, TheOrderIsStoredBeforeAnythingIsAskedOfTheCa) {
  std::vector<std::pair<std::string, bool>> stored;
  ca.intercept = [&](const HttpRequest& request, const std::string&) {
    stored.emplace_back(request.url, store.orders.contains(a));
    return std::optional<HttpReply>();
  };
  IssuanceJob wanted = job();
  wanted.profile = "short";
  wanted.renewal = true;
  ca.meta = R"({"profiles":{"short":"x"}})";
  ASSERT_TRUE(obtain(wanted));
  bool ordered = false;
  for (const auto& [url, is_stored] : stored) {
    EXPECT_EQ(is_stored, ordered) << url;
    ordered = ordered || url.ends_with("/new-order");
  }
  EXPECT_EQ(store.order_puts, 1);
  const PendingOrder& order = store.orders.at(a);
  EXPECT_EQ(order.issuer, "fake");
  EXPECT_EQ(order.directory, FakeAcmeServer::kDirectory);
  EXPECT_EQ(order.account, "https://ca.test/acct/1");
  EXPECT_THAT(order.url, HasSubstr("https://ca.test/order/"));
  EXPECT_EQ(order.profile, "short");
  EXPECT_TRUE(order.renewal);
}

TEST_F(ResumeTest, AnOrderIsGoneOnWithInEveryState) {
  const struct {
    const char* part;
    int nth;
    const char* state;
  } cases[] = {
      {"/new-order", 1, "pending"},
      {"/challenge/", 1, "pending, the challenge was accepted"},
      {"/authz/", 3, "pending, the challenge is being tried"},
      {"/order/", 1, "ready"},
      {"/finalize/", 1, "processing"},
      {"/order/", 3, "processing, for a while"},
      {"/cert/", 1, "valid"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.state);
    store.orders.clear();
    const int before = orders();
    die_after(c.part, c.nth);
    const int challenged = ca.requests["/challenge/tls-alpn-01"];
    const bool accepted = std::string(c.part) != "/new-order";
    int told = 0;
    IssuanceJob wanted = resumed();
    ASSERT_TRUE(wanted.pending);
    wanted.ordered = [&] { ++told; };
    const auto certificate = obtain(std::move(wanted));
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(orders(), before + 1) << "one order in both lives";
    EXPECT_EQ(told, 0) << "it costs nothing";
    if (accepted) {
      EXPECT_EQ(ca.requests["/challenge/tls-alpn-01"], challenged);
    }
    expect_its_key(*certificate);
    EXPECT_TRUE(nothing_is_offered());
  }
}

// Told before the crash, the CA tries the challenge between our look and our word.
TEST_F(ResumeTest, AChallengeThatTheCaHasTriedMeanwhileDoesNotEndTheOrder) {
  const int before = orders();
  ca.latency = 10ms;  // so that it ends before the challenge
  die_after("/new-order");
  ca.knows_challenges = true;
  const auto certificate = obtain(resumed());
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(orders(), before + 1);
  expect_its_key(*certificate);
}

// ... but one that it will not accept at all is not waited for.
TEST_F(ResumeTest, AChallengeThatIsRefusedAndLeftAloneEndsTheOrder) {
  const int before = orders();
  ca.latency = 10ms;
  die_after("/new-order");
  bool refused = false;
  ca.intercept = [&](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    const bool challenge = request.url.find("/challenge/") != std::string::npos;
    if (!challenge || std::exchange(refused, true)) return std::nullopt;
    return FakeAcmeServer::problem(400, "malformed", "no such challenge");
  };
  const auto certificate = obtain(resumed());
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(orders(), before + 2) << "a new one";
}

// Wherever it is left, the same order is finished; only one that was not stored yet is lost.
TEST_F(ResumeTest, DroppedAtEveryWaitItIsGoneOnWith) {
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    SCOPED_TRACE(moments);
    store.orders.clear();
    restart();
    const int before = orders();
    Task<CertificatePtr> task = issuer->obtain(a);
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(1ms);
    done = task.done();
    task = {};
    clock.advance(1s);
    const bool was_stored = store.orders.contains(a);
    const int made = orders();
    restart();
    const auto certificate = obtain(resumed());
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(orders(), made + (was_stored ? 0 : 1));
    EXPECT_LE(made, before + 1);
    expect_its_key(*certificate);
  }
  EXPECT_GT(moments, 100);
}

// The second life is left at every wait, too; the third finishes.
TEST_F(ResumeTest, AResumedOneCanBeDroppedAtEveryWait) {
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    SCOPED_TRACE(moments);
    store.orders.clear();
    die_after("/challenge/");
    const int made = orders();
    Task<CertificatePtr> task = issuer->obtain(resumed());
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(5ms);
    done = task.done();
    task = {};
    EXPECT_TRUE(nothing_is_offered());
    restart();
    ASSERT_TRUE(obtain(resumed()));
    EXPECT_EQ(orders(), made);
  }
  EXPECT_GT(moments, 20);
  clock.advance(1min);
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(ResumeTest, AnOrderThatTheCaDoesNotHaveIsReplaced) {
  const std::pair<int, const char*> answers[] = {
      {404, "malformed"}, {410, "malformed"}, {400, "malformed"}, {403, "unauthorized"}};
  for (const auto& [status, type] : answers) {
    die_after("/new-order");
    answer("/order/", FakeAcmeServer::problem(status, type), 1);
    expect_fresh(std::string(type) + " " + std::to_string(status));
  }
}

TEST_F(ResumeTest, AnOrderThatIsNotOursIsReplaced) {
  die_after("/finalize/");
  store.orders.at(a).account = "https://ca.test/acct/77";
  expect_fresh("another account");
  store.orders.at(a).directory = "https://other.test/dir";
  expect_fresh("another CA");
  store.orders.at(a).key_der = "garbage";
  expect_fresh("a key that cannot be read");
  die_after("/finalize/");
  store.orders.at(a).key_der = private_key_to_der(generate_p256_key());
  expect_fresh("a certificate for another key");
}

TEST_F(ResumeTest, AnOrderOfAnAccountThatTheCaForgotIsReplaced) {
  die_after("/finalize/");
  ca.forget_accounts();
  expect_fresh("a new account");
  EXPECT_EQ(ca.accounts_made, 2);
}

// The key is rolled at every moment of an order; it is the same order that goes on.
TEST_F(ResumeTest, AChangeOfTheAccountsKeyCostsNoOrder) {
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    SCOPED_TRACE(moments);
    store.orders.clear();
    const int made = orders();
    Task<CertificatePtr> task = issuer->obtain(a);
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(1ms);
    done = task.done();
    Task<> rolling = issuer->roll_key();
    rolling.start();
    run(task, 1min);
    while (!rolling.done()) clock.advance(1ms);
    EXPECT_TRUE(rolling.outcome());
    ASSERT_TRUE(task.done());
    ASSERT_TRUE(task.outcome()) << task.outcome().error().message;
    EXPECT_EQ(orders(), made + 1);
  }
  EXPECT_GT(moments, 50);
  EXPECT_EQ(ca.key_changes, moments);
}

TEST_F(ResumeTest, AnAccountLostInTheMiddleCostsANewOrderIfThatMayBe) {
  for (const bool may : {true, false}) {
    const int made = orders();
    ca.intercept = [&](const HttpRequest& request, const std::string&) {
      if (request.url.find("/finalize/") != std::string::npos && orders() == made + 1) {
        ca.forget_accounts();
      }
      return std::optional<HttpReply>();
    };
    IssuanceJob wanted = job();
    int asked = 0;
    wanted.may_order_again = [&] {
      ++asked;
      return may;
    };
    const auto outcome = obtain(std::move(wanted));
    EXPECT_EQ(static_cast<bool>(outcome), may);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(orders(), made + (may ? 2 : 1));
    EXPECT_EQ(store.orders.contains(a), may);
    store.orders.clear();
  }
}

TEST_F(ResumeTest, AnOrderThatBecameInvalidForNoReasonOfTheNamesIsReplaced) {
  die_after("/new-order");
  const std::string order = JsonObject()
                                .text("status", "invalid")
                                .raw("authorizations", R"(["https://ca.test/authz/2"])")
                                .text("finalize", "https://ca.test/finalize/1")
                                .str();
  answer("/order/", FakeAcmeServer::json(200, order), 1);
  expect_fresh("expired");
}

TEST_F(ResumeTest, AValidationThatFailedMeanwhileIsTheNamesFailure) {
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  ca.validation_polls = 1;  // refused only when it is asked for the second time
  die_after("/challenge/");
  IssuanceJob wanted = resumed();
  wanted.failures = 1;
  int refused = 0;
  wanted.authorization_failed = [&] { ++refused; };
  const auto outcome = obtain(std::move(wanted));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("no answer at a.test"));
  EXPECT_EQ(failure->failure, FailureClass::kConnection);
  EXPECT_EQ(failure->answered, ChallengeType::kTlsAlpn01);
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(orders(), 1);
  EXPECT_TRUE(store.orders.empty());
}

TEST_F(ResumeTest, ARefusalWhileNobodyWasHereIsNotHeldAgainstTheNameOnItsFirstTry) {
  options.challenges = {ChallengeType::kTlsAlpn01};
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  ca.validation_polls = 1;
  die_after("/challenge/");
  ca.unreachable.clear();
  IssuanceJob wanted = resumed();
  int asked = 0;
  int refused = 0;
  wanted.may_order_again = [&] {
    ++asked;
    return true;
  };
  wanted.authorization_failed = [&] { ++refused; };
  ASSERT_TRUE(obtain(std::move(wanted)));
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(refused, 1) << "the CA counts it";
  EXPECT_EQ(orders(), 2);
}

TEST_F(ResumeTest, AfterThatTheOtherChallengeIsTriedAsEver) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  ca.validation_polls = 1;
  die_after("/challenge/");
  IssuanceJob wanted = resumed();
  int asked = 0;
  wanted.may_order_again = [&] {
    ++asked;
    return true;
  };
  ASSERT_TRUE(obtain(std::move(wanted)));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(orders(), 3);
  EXPECT_GE(challenges.http_answers.value(), 1u);
}

TEST_F(ResumeTest, ANewOrderIsMadeOnlyWithTheJobsConsent) {
  die_after("/new-order");
  answer("/order/", FakeAcmeServer::problem(404, "malformed"));
  IssuanceJob wanted = resumed();
  wanted.may_order_again = [] { return false; };
  const auto outcome = obtain(std::move(wanted));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kThrottled);
  EXPECT_EQ(failure->failure, FailureClass::kRateLimited);
  EXPECT_EQ(orders(), 1);
  EXPECT_TRUE(store.orders.empty()) << "nothing will come of it";
}

TEST_F(ResumeTest, ACaThatCannotBeReachedKeepsTheOrderOpen) {
  die_after("/finalize/");
  const HttpReply trouble[] = {FakeAcmeServer::json(503, ""), throttled(429, "3600")};
  for (const HttpReply& reply : trouble) {
    answer("/order/", reply);
    EXPECT_FALSE(obtain(resumed()));
    EXPECT_TRUE(store.orders.contains(a));
  }
  ca.intercept = nullptr;
  clock.advance(1h);
  EXPECT_TRUE(obtain(resumed()));
  EXPECT_EQ(orders(), 1);
}

TEST_F(ResumeTest, WhatATimeLimitEndedIsFinishedLater) {
  ca.processing_polls = 1'000'000;
  EXPECT_FALSE(obtain());
  EXPECT_EQ(failure->failure, FailureClass::kTimeout);
  ASSERT_TRUE(store.orders.contains(a));
  ca.processing_polls = 0;
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (request.url.find("/order/") == std::string::npos) return std::nullopt;
    return FakeAcmeServer::json(200, JsonObject()
                                         .text("status", "valid")
                                         .raw("authorizations", R"(["https://ca.test/authz/2"])")
                                         .text("finalize", "https://ca.test/finalize/1")
                                         .text("certificate", "https://ca.test/cert/1")
                                         .str());
  };
  const auto certificate = obtain(resumed());
  ASSERT_TRUE(certificate) << certificate.error().message;
  expect_its_key(*certificate);
}

TEST_F(ResumeTest, AnOrderThatComesToNoEndInADayMakesRoomForANewOne) {
  const struct {
    const char* part;
    HttpReply reply;
  } cases[] = {
      {"/order/", FakeAcmeServer::json(200, R"({"status":"processing",)"
                                            R"("authorizations":["https://ca.test/authz/1"],)"
                                            R"("finalize":"https://ca.test/finalize/1"})")},
      {"/cert/", FakeAcmeServer::json(500, "")},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.part);
    store.orders.clear();
    restart();
    answer(c.part, c.reply);
    EXPECT_FALSE(obtain());
    EXPECT_FALSE(obtain(resumed()));
    ASSERT_TRUE(store.orders.contains(a)) << "within the day it is gone on with";
    clock.advance(24h);
    EXPECT_FALSE(obtain(resumed()));
    EXPECT_TRUE(store.orders.empty());
    ca.intercept = nullptr;
    EXPECT_TRUE(obtain(resumed()));
  }
}

TEST_F(ResumeTest, AStoreThatDoesNotTakeTheOrderEndsItBeforeAnythingIsProven) {
  ASSERT_TRUE(obtain("warm.test"));
  store.full = Error{ErrorCode::kIo, "the disk is full; free some space"};
  int ordered = 0;
  IssuanceJob wanted = job();
  wanted.ordered = [&] { ++ordered; };
  const int challenged = ca.requests["/challenge/tls-alpn-01"];
  const int finalized = ca.requests["/finalize"];
  const auto outcome = obtain(std::move(wanted));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("the disk is full; free some space"));
  EXPECT_EQ(failure->failure, FailureClass::kStorage);
  EXPECT_EQ(ca.requests["/challenge/tls-alpn-01"], challenged);
  EXPECT_EQ(ca.requests["/finalize"], finalized);
  EXPECT_EQ(ordered, 1) << "the CA has counted it";
}

TEST_F(ResumeTest, WhatHasComeToNothingForGoodIsForgotten) {
  const struct {
    const char* part;
    HttpReply reply;
    bool kept;
  } cases[] = {
      {"/authz/", FakeAcmeServer::problem(404, "malformed"), false},
      {"/challenge/", FakeAcmeServer::problem(403, "unauthorized"), false},
      {"/finalize/", FakeAcmeServer::problem(400, "badCSR"), false},
      {"/finalize/", FakeAcmeServer::problem(403, "userActionRequired"), false},
      {"/cert/", FakeAcmeServer::json(200, "<html>"), false},
      {"/finalize/", FakeAcmeServer::problem(500, "serverInternal"), true},
      {"/finalize/", throttled(429, "3600"), true},
      {"/cert/", throttled(503, ""), true},
      {"/order/", FakeAcmeServer::json(200, "<html>"), true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.part) + " " + c.reply.body);
    store.orders.clear();
    restart();
    answer(c.part, c.reply);
    EXPECT_FALSE(obtain());
    EXPECT_EQ(store.orders.contains(a), c.kept);
  }
  ca.intercept = nullptr;
  ca.unreachable = {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  EXPECT_FALSE(obtain());
  EXPECT_TRUE(store.orders.empty());
}

}  // namespace
}  // namespace latchkey::acme
