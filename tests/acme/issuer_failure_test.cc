// Everything a CA can do wrong, and what is said about it.

#include <cstdlib>
#include <optional>
#include <string>

#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using IssuerFailureTest = IssuerFixture;

TEST_F(IssuerFailureTest, WhatTheCaComplainsAboutIsTyped) {
  const struct {
    const char* type;
    int status;
    ErrorCode code;
    FailureClass failure;
  } cases[] = {
      {"rateLimited", 429, ErrorCode::kThrottled, FailureClass::kRateLimited},
      {"rejectedIdentifier", 400, ErrorCode::kInvalid, FailureClass::kRejectedIdentifier},
      {"userActionRequired", 403, ErrorCode::kProtocol, FailureClass::kUserActionRequired},
      {"unauthorized", 403, ErrorCode::kProtocol, FailureClass::kUnauthorized},
      {"serverInternal", 500, ErrorCode::kIo, FailureClass::kServerInternal},
      {"malformed", 400, ErrorCode::kProtocol, FailureClass::kOther},
  };
  for (const auto& c : cases) {
    HttpReply reply = FakeAcmeServer::problem(c.status, c.type);
    if (c.status == 429) reply.headers.emplace_back("retry-after", "3600");
    answer("/new-order", reply);
    const auto outcome = obtain();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, c.code) << c.type;
    EXPECT_EQ(failure->failure, c.failure) << c.type;
    EXPECT_TRUE(failure->problem->is(c.type));
    EXPECT_THAT(outcome.error().message, HasSubstr("POST https://ca.test/new-order"));
    EXPECT_EQ(failure->problem->retry_after.has_value(), c.status == 429);
  }
  EXPECT_EQ(issuer->counts().orders.value(), 0u);
}

TEST_F(IssuerFailureTest, ARefusedRegistrationIsTyped) {
  answer("/account", FakeAcmeServer::problem(403, "userActionRequired"));
  EXPECT_THAT(error(), HasSubstr("registering an ACME account"));
  EXPECT_EQ(failure->failure, FailureClass::kUserActionRequired);
}

TEST_F(IssuerFailureTest, ATroubledCaIsAskedAgainWhereThatIsSafe) {
  for (const char* part : {"/authz/", "/order/", "/cert/"}) {
    answer(part, FakeAcmeServer::json(503, "<html>down</html>"), 3);
    EXPECT_TRUE(obtain()) << part;
    answer(part, FakeAcmeServer::json(503, "<html>down</html>"));
    EXPECT_THAT(error(), HasSubstr("(HTTP 503): no problem document, but \"<html>down</html>\""));
  }
  answer("/new-order", FakeAcmeServer::json(503, ""), 1);
  EXPECT_FALSE(obtain()) << "an order costs something";
}

TEST_F(IssuerFailureTest, EveryWrongAnswerNamesUrlAndCause) {
  ASSERT_TRUE(obtain());
  HttpReply redirect = FakeAcmeServer::json(301, "");
  redirect.headers.emplace_back("location", "https://elsewhere.test/");
  const HttpReply wrong[] = {
      FakeAcmeServer::json(200, ""),
      FakeAcmeServer::json(200, "<html>"),
      FakeAcmeServer::json(200, "{\"status\":"),
      FakeAcmeServer::json(200, "{}"),
      FakeAcmeServer::json(200, "[]"),
      FakeAcmeServer::json(200, std::string(1 << 20, '[')),
      FakeAcmeServer::json(201, R"({"status":"valid"})"),
      FakeAcmeServer::json(404, "not found"),
      redirect,
  };
  for (const char* part : {"/new-order", "/authz/", "/order/", "/finalize/", "/cert/"}) {
    for (const HttpReply& reply : wrong) {
      answer(part, reply);
      const auto outcome = obtain();
      ASSERT_FALSE(outcome) << part << reply.body.substr(0, 40);
      EXPECT_THAT(outcome.error().message, HasSubstr("fake: a.test: "));
      EXPECT_LT(outcome.error().message.size(), 1000u);
      EXPECT_TRUE(nothing_is_offered());
    }
  }
  for (const HttpReply& reply : wrong) {
    restart();
    answer("/dir", reply);
    EXPECT_THAT(error(), HasSubstr("the ACME directory https://ca.test/dir"));
  }
}

TEST_F(IssuerFailureTest, ACaWithoutNoncesOrLocationIsNamed) {
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (!request.url.ends_with("/new-order")) return std::nullopt;
    return FakeAcmeServer::json(201, R"({"status":"pending"})");
  };
  EXPECT_THAT(error(), HasSubstr("POST https://ca.test/new-order: Location: expected a URL"));
  ca.intercept = [](const HttpRequest& request, const std::string&) -> std::optional<HttpReply> {
    if (!request.url.ends_with("/new-order")) return std::nullopt;
    HttpReply reply = FakeAcmeServer::json(201, R"({"status":"pending"})");
    reply.headers.emplace_back("location", "http://elsewhere.test/order/1");
    return reply;
  };
  EXPECT_THAT(error(), HasSubstr("expected an https:// URL"));
}

TEST_F(IssuerFailureTest, WhatIsDownloadedIsJudged) {
  const TestCa other("Other");
  ca.chain = other.issue_pem({"a.test"}, generate_p256_key());
  EXPECT_THAT(error(), HasSubstr("not for the key that we asked for"));
  EXPECT_EQ(failure->failure, FailureClass::kBadCertificate);
  ca.chain = "<html>";
  EXPECT_THAT(error(), HasSubstr("refused before it was stored"));
}

TEST_F(IssuerFailureTest, APublicCaIsRefusedWhereThatIsForbidden) {
  options.directory = "https://acme-v02.api.letsencrypt.org/directory";
  restart();
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  EXPECT_THAT(error(), HasSubstr("LATCHKEY_NO_PUBLIC_CA=1 is set"));
  EXPECT_EQ(ca.requests.size(), 0u);
}

TEST_F(IssuerFailureTest, AnUncheckedDirectoryUrlIsRefused) {
  options.directory = "http://ca.test/dir";
  restart();
  EXPECT_THAT(error(), HasSubstr("expected an https:// URL"));
}

}  // namespace
}  // namespace latchkey::acme
