// Whom the edge asks: several CAs, an ask endpoint that wants a token, and what port 80 makes of
// the endpoint's answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string issuer_at(const std::string& name, const std::string& directory) {
  const std::string acme =
      JsonObject().text("directory", directory).boolean("accept_terms", true).str();
  return JsonObject().text("name", name).raw("acme", acme).str() + ",";
}

TEST(IssuersTest, TheSecondOneIssuesWhenTheFirstOneIsDown) {
  const ReservedPort nobody;  // refuses
  Site site;
  site.edge.settings.issuers =
      issuer_at("down", "https://127.0.0.1:" + std::to_string(nobody.number()) + "/dir");
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"a.test", "b.test"}) {
    const auto visit = site.visit(name);
    ASSERT_TRUE(visit.handshake.verified) << visit.handshake.error;
    EXPECT_EQ(visit.answer.status, 200);
  }
  EXPECT_EQ(site.pebble->orders(), 2u);
  const auto failed = site.edge.events("issuer_failed");
  ASSERT_EQ(failed.size(), 2u);
  EXPECT_EQ(failed[0].text_of("issuer"), "down");
  EXPECT_EQ(failed[0].text_of("name"), "a.test");
  const auto obtained = site.edge.events("certificate_obtained");
  ASSERT_EQ(obtained.size(), 2u);
  EXPECT_EQ(obtained[0].text_of("issuer"), "test");
  EXPECT_EQ(site.edge.count("issuance_failed"), 0u);
}

TEST(IssuersTest, WhenAllAreDownTheNameIsRefusedForNow) {
  const ReservedPort nobody;
  const std::string directory = "https://127.0.0.1:" + std::to_string(nobody.number()) + "/dir";
  Site::Options options;
  options.pebble = false;
  Site site(options);
  site.edge.settings.issuers = issuer_at("first", directory);
  site.edge.settings.directory = directory;
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.connect("a.test").handshake().alert, alert::kInternalError);
  EXPECT_TRUE(site.edge.logged("issuance_failed", "test: a.test"));
}

class TokenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_text(site_.folder / "token", std::string(kToken) + "\n");
    site_.edge.settings.allow = {};
    site_.edge.settings.ask = site_.ask_url();
    site_.edge.settings.ask_token_file = site_.folder / "token";
  }
  std::string authorization_of_the_last_question() const {
    const auto seen = site_.ask.seen();
    return seen.empty() ? "" : seen.back().header("authorization");
  }

  static constexpr const char* kToken = "correct-horse-battery-staple.42";
  Site site_;
};

TEST_F(TokenTest, ArrivesAndIsNeverShown) {
  ASSERT_TRUE(site_.edge.start());
  const auto visit = site_.visit("a.test");
  EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_EQ(authorization_of_the_last_question(), std::string("Bearer ") + kToken);

  // An endpoint that rejects the token is the moment to quote it.
  site_.ask.replace_handler([](const Request& request) {
    Response response;
    response.status = 401;
    response.body = "bad token: " + request.header("authorization");
    return response;
  });
  EXPECT_FALSE(site_.connect("b.test").handshake().done);
  EXPECT_TRUE(site_.edge.logged("\"level\":\"error\"", "401")) << site_.edge.log();

  const auto config =
      Edge::run(site_.folder / "edge", {"config", "--config", site_.edge.config_file().string()});
  EXPECT_EQ(config.code, 0);
  EXPECT_THAT(config.output, HasSubstr("token_file"));
  EXPECT_THAT(config.output, Not(HasSubstr(kToken)));
  ASSERT_TRUE(site_.edge.terminate());
  EXPECT_FALSE(site_.edge.logged(kToken));
  EXPECT_FALSE(site_.edge.logged("Bearer"));
  EXPECT_FALSE(StoreFile(site_.database()).contains(kToken));
}

TEST_F(TokenTest, AFileThatCannotBeOneIsRefusedWithoutQuotingIt) {
  write_text(site_.folder / "token", "two words");
  site_.edge.launch();
  const auto exit = site_.edge.wait(Millis(20'000));
  ASSERT_TRUE(exit);
  EXPECT_NE(exit->code, 0);
  EXPECT_TRUE(site_.edge.logged("on_demand.ask.token_file"));
  EXPECT_FALSE(site_.edge.logged("two words"));
}

// Names are not listed: who may be redirected, the endpoint says.
class Port80AskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.allow = {};
    site_.edge.settings.ask = site_.ask_url();
    ASSERT_TRUE(site_.edge.start());
  }
  void break_ask() {
    site_.ask.replace_handler([](const Request&) {
      Response response;
      response.status = 503;
      return response;
    });
  }

  Site site_;
};

TEST_F(Port80AskTest, RedirectsTheNamesThatTheEndpointAllows) {
  const auto answer = site_.plain_get("shop.test", "/cart");
  EXPECT_EQ(answer.status, 308);
  EXPECT_THAT(answer.header("location"), HasSubstr("https://shop.test"));
  EXPECT_EQ(site_.plain_get("denied.test").status, 404);
  EXPECT_EQ(site_.ask.requests("/check"), 2u);
  EXPECT_EQ(site_.plain_get("denied.test").status, 404);
  EXPECT_EQ(site_.ask.requests("/check"), 2u);  // a no is remembered
  EXPECT_LE(site_.pebble->orders(), 1u);        // shop.test's, ahead of its first visitor
}

TEST_F(Port80AskTest, WithoutAnAnswerNoNewNameIsRedirectedAndNothingIsHeldAgainstIt) {
  EXPECT_TRUE(site_.visit("known.test").handshake.verified);
  break_ask();
  EXPECT_EQ(site_.plain_get("shop.test").status, 404);
  EXPECT_EQ(site_.plain_get("known.test").status, 308);  // it has a certificate
  site_.ask.replace_handler([](const Request&) { return Response(); });
  EXPECT_EQ(site_.plain_get("shop.test").status, 308);
}

}  // namespace
}  // namespace latchkey::test
