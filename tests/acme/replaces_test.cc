// Renewals are told to the CA as such (RFC 9773, 5), and chains are chosen.

#include <optional>
#include <string>
#include <vector>

#include "acme/renewal_info.h"
#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ReplacesTest : public IssuerFixture {
 protected:
  ReplacesTest() {
    predecessor = *obtain();
    account = issuer->account_url();
  }

  IssuanceJob renewal() {
    IssuanceJob wanted = job();
    wanted.predecessor = predecessor;
    wanted.predecessor_account = account;
    return wanted;
  }
  // The newOrders of the job; those with `replaces` are answered by `reply`, if there is one.
  std::vector<std::string> orders(IssuanceJob wanted, std::optional<HttpReply> reply) {
    std::vector<std::string> seen;
    ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
      if (!request.url.ends_with("/new-order")) return std::optional<HttpReply>();
      seen.push_back(payload);
      return payload.find("replaces") != std::string::npos ? reply : std::nullopt;
    };
    outcome = obtain(std::move(wanted));
    ca.intercept = nullptr;
    return seen;
  }

  CertificatePtr predecessor;
  std::string account;
  Result<CertificatePtr> outcome = CertificatePtr();
};

TEST_F(ReplacesTest, ARenewalNamesItsPredecessor) {
  const std::string id = renewal_id(*predecessor);
  ASSERT_FALSE(id.empty());
  EXPECT_THAT(orders(renewal(), std::nullopt),
              ElementsAre(HasSubstr("\"replaces\":\"" + id + "\"")));
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(store.orders.at(a).renewal);
  EXPECT_THAT(orders(job(), std::nullopt), ElementsAre(Not(HasSubstr("replaces"))));
}

TEST_F(ReplacesTest, WhatIsRefusedIsTriedOnceWithoutIt) {
  for (const auto& [status, type] :
       std::vector<std::pair<int, const char*>>{{409, "alreadyReplaced"},
                                                {409, "malformed"},
                                                {400, "malformed"},
                                                {403, "unauthorized"},
                                                {404, "malformed"},
                                                {400, "somethingNew"}}) {
    SCOPED_TRACE(type);
    int asked = 0;
    IssuanceJob wanted = renewal();
    wanted.may_order_plain = [&] {
      ++asked;
      return true;
    };
    EXPECT_THAT(orders(wanted, FakeAcmeServer::problem(status, type)),
                ElementsAre(HasSubstr("replaces"), Not(HasSubstr("replaces"))));
    EXPECT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(asked, 1);
  }
}

TEST_F(ReplacesTest, WhatIsClearlyAboutSomethingElseIsNot) {
  for (const auto& [status, type] :
       std::vector<std::pair<int, const char*>>{{429, "rateLimited"},
                                                {400, "rejectedIdentifier"},
                                                {403, "userActionRequired"},
                                                {500, "serverInternal"},
                                                {403, "caa"}}) {
    SCOPED_TRACE(type);
    EXPECT_EQ(orders(renewal(), FakeAcmeServer::problem(status, type)).size(), 1u);
    EXPECT_FALSE(outcome);
    EXPECT_TRUE(failure->problem->is(type));
  }
}

// At a start the account may be found by the renewal itself.
TEST_F(ReplacesTest, TheAccountNeedNotBeKnownBefore) {
  const IssuanceJob wanted = renewal();
  restart();
  ASSERT_EQ(issuer->account_url(), "");
  EXPECT_THAT(orders(wanted, std::nullopt), ElementsAre(HasSubstr("replaces")));
  EXPECT_TRUE(outcome);
}

TEST_F(ReplacesTest, WhatAnotherAccountHasOrderedIsNotReplacedByName) {
  IssuanceJob wanted = renewal();
  wanted.predecessor_account = "https://ca.test/account/other";
  bool budget = true;
  wanted.may_order_plain = [&] { return budget; };
  EXPECT_THAT(orders(wanted, std::nullopt), ElementsAre(Not(HasSubstr("replaces"))));
  EXPECT_TRUE(outcome);
  budget = false;
  EXPECT_TRUE(orders(wanted, std::nullopt).empty());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kThrottled);
}

TEST_F(ReplacesTest, APlainOrderNeedsTheJobsConsent) {
  IssuanceJob wanted = renewal();
  wanted.may_order_plain = [] { return false; };
  EXPECT_EQ(orders(wanted, FakeAcmeServer::problem(409, "alreadyReplaced")).size(), 1u);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kThrottled);
  EXPECT_EQ(failure->failure, FailureClass::kRateLimited);
  EXPECT_THAT(outcome.error().message, HasSubstr("alreadyReplaced"));
}

TEST_F(ReplacesTest, ACaWithoutRenewalInfoIsNotToldAndTheConsentIsAskedFor) {
  answer("/dir", FakeAcmeServer::json(200, JsonObject()
                                               .text("newNonce", "https://ca.test/nonce")
                                               .text("newAccount", "https://ca.test/account")
                                               .text("newOrder", "https://ca.test/new-order")
                                               .str()));
  restart();
  ASSERT_TRUE(obtain());
  int asked = 0;
  IssuanceJob wanted = renewal();
  wanted.may_order_plain = [&] {
    ++asked;
    return true;
  };
  EXPECT_THAT(orders(wanted, std::nullopt), ElementsAre(Not(HasSubstr("replaces"))));
  EXPECT_EQ(asked, 1);
}

TEST_F(ReplacesTest, ARefusalIsRememberedForTheSecondOrder) {
  ca.unreachable = {ChallengeType::kTlsAlpn01};
  restart();
  EXPECT_THAT(
      orders(renewal(), FakeAcmeServer::problem(409, "alreadyReplaced")),
      ElementsAre(HasSubstr("replaces"), Not(HasSubstr("replaces")), Not(HasSubstr("replaces"))));
  EXPECT_TRUE(outcome);
}

TEST_F(ReplacesTest, ItCanBeDroppedAtEveryWait) {
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
      const bool hit =
          request.url.ends_with("/new-order") && payload.find("replaces") != std::string::npos;
      return hit ? std::optional(FakeAcmeServer::problem(409, "alreadyReplaced")) : std::nullopt;
    };
    Task<CertificatePtr> task = issuer->obtain(renewal());
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(Millis(1));
    done = task.done();
    task = {};
    EXPECT_TRUE(nothing_is_offered());
  }
  EXPECT_GT(moments, 50);
  EXPECT_EQ(clock.pending(), 0u);
}

// The fake CA's chains end under its root; another one has the same intermediate's name only.
class PreferredChainTest : public IssuerFixture {
 protected:
  Result<CertificatePtr> obtain_preferring(const std::string& name) {
    options.preferred_chain = name;
    restart();
    return obtain();
  }
  static std::string alternate(int number) {
    return "<https://ca.test/alternate/" + std::to_string(number) + ">;rel=\"alternate\"";
  }
  // The chain that the CA handed out, and its root behind it.
  void offer_with_root() {
    last_chain.clear();
    ca.intercept = [this](const HttpRequest& request, const std::string&) {
      const bool hit = request.url.find("/alternate/") != std::string::npos;
      if (hit) ++fetched;
      return hit ? std::optional(FakeAcmeServer::json(200, last_chain)) : std::nullopt;
    };
  }

  std::string last_chain;
  int fetched = 0;
};

TEST_F(PreferredChainTest, TheDefaultIsTakenWhereItEndsUnderIt) {
  ca.links = {alternate(1)};
  offer_with_root();
  ASSERT_TRUE(obtain_preferring(common_name(ca.authority().root_pem)));
  EXPECT_EQ(fetched, 0);
}

TEST_F(PreferredChainTest, AlternatesThatAreUnusableAreOnlyWarnedOf) {
  for (int i = 0; i < 7; ++i) ca.links.push_back(alternate(i));
  offer_with_root();
  const TestCa other("Other");
  for (const std::string& chain :
       {std::string("<html>"), std::string(), other.issue_pem({"a.test"}, generate_p256_key())}) {
    last_chain = chain;
    fetched = 0;
    const auto certificate = obtain_preferring(common_name(other.root_pem));
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ((*certificate)->issuer(), common_name(ca.authority().intermediate_pem));
    EXPECT_EQ(fetched, 4) << "and no more of them are fetched";
  }
}

TEST_F(PreferredChainTest, AnAlternateThatEndsUnderItAndIsGoodIsTaken) {
  const TestCa other("Other");
  ca.links = {alternate(1), alternate(2)};
  std::string csr;
  ca.intercept = [&](const HttpRequest& request, const std::string& payload) {
    std::optional<HttpReply> reply;
    if (request.url.find("/finalize/") != std::string::npos) {
      csr = *base64url_decode(parse_json(payload)->text_of("csr"));
    }
    if (request.url.ends_with("/alternate/1")) reply = FakeAcmeServer::json(503, "");
    if (request.url.ends_with("/alternate/2")) {
      reply = FakeAcmeServer::json(200, other.issue_for_csr(csr));
    }
    return reply;
  };
  const auto certificate = obtain_preferring(common_name(other.root_pem));
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ((*certificate)->issuer(), common_name(other.intermediate_pem));
}

TEST_F(PreferredChainTest, ACaThatIsSlowWithItsOtherChainsDoesNotHoldUpACertificate) {
  ca.links = {alternate(1), alternate(2), alternate(3)};
  answer("/alternate/", throttled(503, "25"));
  const TimePoint began = clock.now();
  EXPECT_TRUE(obtain_preferring("Another Root"));
  EXPECT_LT(clock.now() - began, Millis(15'000));
}

}  // namespace
}  // namespace latchkey::acme
