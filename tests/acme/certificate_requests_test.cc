#include "acme/certificate_requests.h"

#include "tests/acme/account_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CertificateRequestsTest : public AccountFixture {
 protected:
  std::string revoke(const CertificatePtr& what,
                     RevocationReason reason = RevocationReason::kKeyCompromise) {
    return error(run(requests->revoke(what, reason)));
  }
  Result<RenewalInfo> ask() { return run(requests->renewal_info(certificate)); }

  const CertificatePtr certificate = ca.authority().issue({"a.test"});
};

constexpr const char* kWorked = "it worked";
constexpr const char* kWindow =
    R"({"suggestedWindow":{"start":"2030-01-02T04:00:00Z","end":"2030-01-03T04:00:00Z"}})";

TEST_F(CertificateRequestsTest, TheAccountRevokesWithAReason) {
  EXPECT_EQ(revoke(certificate, RevocationReason::kSuperseded), kWorked);
  EXPECT_THAT(ca.revoked, ElementsAre(4));
}

TEST_F(CertificateRequestsTest, WhatIsRevokedAlreadyIsASuccess) {
  EXPECT_EQ(revoke(certificate), kWorked);
  EXPECT_EQ(revoke(certificate), kWorked);
  EXPECT_THAT(ca.revoked, ElementsAre(1));
}

TEST_F(CertificateRequestsTest, WhereTheAccountMayNotTheCertificatesOwnKeyDoes) {
  ca.only_own_key_revokes = true;
  EXPECT_EQ(revoke(certificate), kWorked);
  EXPECT_THAT(ca.revoked, ElementsAre(1));
  EXPECT_EQ(ca.requests["/revoke"], 2);
}

TEST_F(CertificateRequestsTest, AnAccountThatIsDeactivatedRevokesByTheCertificatesKey) {
  ASSERT_TRUE(run(accounts->get()));
  ASSERT_TRUE(run(accounts->deactivate()));
  EXPECT_EQ(revoke(certificate), kWorked);
  EXPECT_THAT(ca.revoked, ElementsAre(1));
}

TEST_F(CertificateRequestsTest, ACaInTroubleIsNotAskedASecondTime) {
  answer("/revoke", FakeAcmeServer::problem(500, "serverInternal", "on fire"));
  EXPECT_THAT(revoke(certificate), AllOf(HasSubstr("on fire"), HasSubstr(certificate->serial())));
  EXPECT_EQ(ca.requests["/revoke"], 1);
  EXPECT_THAT(ca.revoked, IsEmpty());
}

TEST_F(CertificateRequestsTest, AReasonThatIsRefusedIsTheCasWord) {
  answer("/revoke", FakeAcmeServer::problem(400, "badRevocationReason", "not that one"));
  EXPECT_THAT(revoke(certificate), HasSubstr("not that one"));
}

TEST_F(CertificateRequestsTest, WhoGoesInTheMidstOfARevocationLeavesNothingBehind) {
  for (int steps = 0; steps < 20; ++steps) {
    Task<> task = requests->revoke(certificate, RevocationReason::kUnspecified);
    task.start();
    for (int i = 0; i < steps && !task.done(); ++i) clock.advance(1ms);
  }
  EXPECT_EQ(revoke(certificate), kWorked);
}

TEST(RevocationReasons, AreSpelledAsRfc5280DoesIt) {
  for (const int code : {0, 1, 3, 4, 5}) {
    const auto reason = static_cast<RevocationReason>(code);
    EXPECT_EQ(revocation_reason_from(to_string(reason)), reason);
  }
  EXPECT_EQ(to_string(RevocationReason::kCessationOfOperation), "cessationOfOperation");
  EXPECT_EQ(revocation_reason_from("cACompromise"), std::nullopt);
  EXPECT_EQ(revocation_reason_from(""), std::nullopt);
}

TEST_F(CertificateRequestsTest, TheWindowIsAskedForWithoutAnAccount) {
  ca.renewal_info = kWindow;
  const Result<RenewalInfo> info = ask();
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->window.end - info->window.start, 24h);
  EXPECT_EQ(info->poll_after, 6h);
  EXPECT_EQ(ca.accounts_made, 0);
}

TEST_F(CertificateRequestsTest, RetryAfterIsHeldBetweenAMinuteAndADay) {
  ca.renewal_info = kWindow;
  const std::pair<const char*, Millis> cases[] = {
      {"1", 1min}, {"3600", 1h}, {"10000000", 24h}, {"soon", 6h}};
  for (const auto& [header, wait] : cases) {
    ca.retry_after = header;
    const Result<RenewalInfo> info = ask();
    ASSERT_TRUE(info);
    EXPECT_EQ(info->poll_after, wait) << header;
  }
}

TEST_F(CertificateRequestsTest, WhatTheCaCannotSayIsAnError) {
  EXPECT_THAT(error(ask()), HasSubstr("HTTP 404"));
  answer("/renewal", FakeAcmeServer::json(500, "oops"));
  EXPECT_THAT(error(ask()), HasSubstr("HTTP 500"));
  answer("/renewal", FakeAcmeServer::json(200, ""));
  EXPECT_THAT(error(ask()), HasSubstr("not JSON"));
  answer("/renewal", FakeAcmeServer::json(200, std::string(100 << 10, ' ') + kWindow));
  EXPECT_THAT(error(ask()), HasSubstr("over 16 KiB"));
}

TEST_F(CertificateRequestsTest, ACaWithoutTheseResourcesIsNotFound) {
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (!request.url.ends_with("/dir")) return std::nullopt;
    return FakeAcmeServer::json(200, R"({"newNonce":"https://ca.test/nonce",)"
                                     R"("newAccount":"https://ca.test/account",)"
                                     R"("newOrder":"https://ca.test/new-order"})");
  };
  const Result<RenewalInfo> info = ask();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::kNotFound);
  const Result<> revoked = run(requests->revoke(certificate, RevocationReason::kUnspecified));
  ASSERT_FALSE(revoked);
  EXPECT_EQ(revoked.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace latchkey::acme
