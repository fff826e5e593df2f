#include "acme/problem.h"

#include <gtest/gtest.h>

#include "acme/ca_url.h"
#include "acme/directory.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

TEST(Problem, ADocumentIsReadAndDescribed) {
  const Problem problem = parse_problem(429, R"({"type":"urn:ietf:params:acme:error:rateLimited",
      "detail":"too many","status":500,"instance":"https://ca.test/help"})");
  EXPECT_TRUE(problem.is(problem_type::kRateLimited));
  EXPECT_EQ(problem.failure_class(), FailureClass::kRateLimited);
  EXPECT_EQ(problem.describe(), "rateLimited (HTTP 429): too many; see https://ca.test/help");
  EXPECT_EQ(problem.error("new order").code, ErrorCode::kThrottled);
}

TEST(Problem, SubproblemsSayWhomTheyAreAbout) {
  const Problem problem = parse_problem(403, R"({"type":"urn:ietf:params:acme:error:compound",
      "detail":"some","subproblems":[{"type":"urn:ietf:params:acme:error:caa","detail":"forbidden",
      "identifier":{"type":"dns","value":"a.test"}}]})");
  EXPECT_EQ(problem.describe(), "compound (HTTP 403): some; a.test: caa: forbidden");
  EXPECT_EQ(problem.failure_class(), FailureClass::kCaa);
}

TEST(Problem, TheClassIsTheOneThatSaysMost) {
  const struct {
    const char* type;
    const char* sub;
    FailureClass failure;
  } cases[] = {
      {"unauthorized", "dns", FailureClass::kDns},
      {"unauthorized", "caa", FailureClass::kCaa},
      {"unauthorized", "odd", FailureClass::kUnauthorized},
      {"unauthorized", "unauthorized", FailureClass::kUnauthorized},
      {"incorrectResponse", "connection", FailureClass::kConnection},
      {"malformed", "rejectedIdentifier", FailureClass::kRejectedIdentifier},
      {"compound", "tls", FailureClass::kTls},
      {"compound", "rateLimited", FailureClass::kRateLimited},
      {"caa", "connection", FailureClass::kCaa},
      {"rateLimited", "dns", FailureClass::kRateLimited},
      {"userActionRequired", "dns", FailureClass::kUserActionRequired},
      {"odd", "odd", FailureClass::kOther},
  };
  for (const auto& c : cases) {
    const std::string urn = "urn:ietf:params:acme:error:";
    const Problem problem = parse_problem(403, R"({"type":")" + urn + c.type +
                                                   R"(","subproblems":[{"detail":"?"},{"type":")" +
                                                   urn + c.sub + R"("}]})");
    EXPECT_EQ(problem.failure_class(), c.failure) << c.type << " " << c.sub;
  }
}

TEST(Problem, ALinkToUnpauseANameIsShownWhole) {
  const std::string link =
      "https://portal.letsencrypt.org/sfe/v1/unpause?jwt=" + std::string(450, 'x') + "END";
  const std::string detail =
      "Your account is temporarily prevented from requesting certificates for a.test and possibly "
      "others. Please visit: " +
      link;
  const Problem problem =
      parse_problem(429, JsonObject()
                             .text("type", "urn:ietf:params:acme:error:rateLimited")
                             .text("detail", detail)
                             .str());
  EXPECT_NE(problem.describe().find(link), std::string::npos) << problem.describe();
}

TEST(Problem, AnActionByAPersonNamesItsPage) {
  const Problem problem = parse_problem(403, R"({"instance":"https://ca.test/terms",
      "type":"urn:ietf:params:acme:error:userActionRequired","detail":"new terms"})");
  EXPECT_NE(problem.describe().find("a person must act: visit https://ca.test/terms"),
            std::string::npos);
}

TEST(Problem, WhatIsNoDocumentIsShownEscapedAndShort) {
  EXPECT_EQ(parse_problem(502, "<html>\n\x1b[31m").describe(),
            "an error (HTTP 502): no problem document, but \"<html> \\x1b[31m\"");
  EXPECT_EQ(parse_problem(404, "").describe(),
            "an error (HTTP 404): no problem document, empty body");
  EXPECT_LT(parse_problem(500, std::string(1 << 20, 'x')).describe().size(), 300u);
  EXPECT_EQ(parse_problem(500, "[]").failure_class(), FailureClass::kServerInternal);
  EXPECT_EQ(parse_problem(500, "").error("x").code, ErrorCode::kIo);
}

TEST(Problem, EndlessDocumentsAreBounded) {
  std::string body = R"({"type":")" + std::string(100'000, 't') + R"(","detail":")" +
                     std::string(100'000, 'd') + R"(","subproblems":[)";
  for (int i = 0; i < 1000; ++i) body += R"({"detail":"sub"},)";
  body += "{}]}";
  const Problem problem = parse_problem(400, body);
  EXPECT_LE(problem.type.size(), 2048u);
  EXPECT_LE(problem.detail.size(), 2048u);
  EXPECT_LE(problem.subproblems.size(), 16u);
  EXPECT_LT(problem.describe().size(), 3000u);
}

TEST(CaUrl, OnlyHttpsOrLoopbackWillDo) {
  for (const char* good :
       {"https://ca.test/dir", "https://ca.test:14000/dir?x", "http://127.0.0.1/",
        "http://localhost:80/", "http://[::1]:4000/dir", "http://127.9.9.9:1"}) {
    EXPECT_TRUE(check_ca_url("newOrder", good)) << good;
  }
  for (const char* bad :
       {"", "http://ca.test/", "ftp://ca.test/", "https://", "https:///x", "ca.test", "/order/1",
        "https://u:p@ca.test/", "https://ca.test/a b", "https://ca.test/\r\nX: y",
        "http://127.0.0.1.evil.test/", "http://localhost.evil.test/", "http://127.0.0.1@evil.test/",
        "https://ca.t\xc3\xa4st/", "javascript:alert(1)", "http://[::2]/"}) {
    const auto checked = check_ca_url("newOrder", bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().message.find("newOrder: expected"), 0u) << checked.error().message;
  }
  EXPECT_FALSE(check_ca_url("x", "https://ca.test/" + std::string(3000, 'x')));
}

TEST(CaUrl, PublicCasAreKnownByTheirHosts) {
  for (const char* url :
       {"https://acme-v02.api.letsencrypt.org/directory",
        "https://ACME-v02.API.letsencrypt.org.:443/directory", "https://acme.zerossl.com/v2/DV90",
        "https://dv.acme-v02.api.pki.goog/dir", "https://api.buypass.com/acme/directory"}) {
    EXPECT_TRUE(is_public_production_ca(host_of(url))) << url;
  }
  for (const char* url : {"https://acme-staging-v02.api.letsencrypt.org/directory",
                          "https://dv.acme-v02.test-api.pki.goog/directory", "https://ca.test/dir",
                          "https://127.0.0.1:14000/dir", "https://notzerossl.com/", "garbage"}) {
    EXPECT_FALSE(is_public_production_ca(host_of(url))) << url;
  }
}

TEST(Directory, IsReadWithItsOptionalParts) {
  const auto directory = Directory::parse("https://ca.test/dir", R"({
      "newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o",
      "renewalInfo":"https://ca.test/ari","random":"https://community.letsencrypt.org/x",
      "meta":{"termsOfService":"https://ca.test/tos","externalAccountRequired":true}})");
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->new_order, "https://ca.test/o");
  EXPECT_EQ(directory->new_authz, "");
  EXPECT_EQ(directory->renewal_info, "https://ca.test/ari");
  EXPECT_EQ(directory->terms_of_service, "https://ca.test/tos");
  EXPECT_TRUE(directory->external_account_required);
}

TEST(Directory, ProfilesAreBounded) {
  JsonObject profiles;
  profiles.text(std::string(81, 'x'), "too long");
  for (int i = 0; i < 100; ++i) profiles.text("p" + std::to_string(i), "");
  const auto directory = Directory::parse(
      "https://ca.test/dir", JsonObject()
                                 .text("newNonce", "https://ca.test/n")
                                 .text("newAccount", "https://ca.test/a")
                                 .text("newOrder", "https://ca.test/o")
                                 .raw("meta", JsonObject().raw("profiles", profiles.str()).str())
                                 .str());
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->profiles.size(), 32u);
  EXPECT_TRUE(directory->has_profile("p0"));
  EXPECT_FALSE(directory->has_profile("p"));
}

TEST(Directory, AnythingElseIsNamed) {
  const struct {
    const char* body;
    const char* says;
  } cases[] = {
      {"<html>hi</html>", "not JSON"},
      {"", "not JSON"},
      {"[]", "newNonce is missing"},
      {"{}", "newNonce is missing"},
      {R"({"newNonce":"https://ca.test/n"})", "newAccount is missing"},
      {R"({"newNonce":5})", "newNonce: expected"},
      {R"({"newNonce":"http://ca.test/n"})", "newNonce: expected an https:// URL"},
      {R"({"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":null})",
       "newOrder: expected"},
  };
  for (const auto& c : cases) {
    const auto directory = Directory::parse("https://ca.test/dir", c.body);
    ASSERT_FALSE(directory) << c.body;
    EXPECT_NE(directory.error().message.find(c.says), std::string::npos)
        << directory.error().message;
    EXPECT_NE(directory.error().message.find("https://ca.test/dir"), std::string::npos);
  }
}

TEST(NoncePool, UsesTheFreshestAndForgetsTheOldest) {
  NoncePool pool;
  EXPECT_EQ(pool.take(), "");
  pool.put("");
  pool.put("not a nonce");
  pool.put(std::string(300, 'a'));
  EXPECT_EQ(pool.size(), 0u);
  for (int i = 0; i < 1000; ++i) pool.put("n" + std::to_string(i));
  EXPECT_EQ(pool.size(), 64u);
  EXPECT_EQ(pool.take(), "n999");
  EXPECT_EQ(pool.take(), "n998");
}

}  // namespace
}  // namespace latchkey::acme
