// What an ask endpoint's yes says beside yes: where the name's requests go, and how long it holds.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::test {
namespace {

Response says(const std::string& json) {
  Response response;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = json;
  return response;
}

class VerdictRouteTest : public ::testing::Test {
 protected:
  VerdictRouteTest() : site_(without_pebble()) { site_.edge.settings.directory = ca_.directory(); }

  std::string page(const std::string& name) {
    const auto visit = site_.visit(name);
    EXPECT_TRUE(visit.handshake.done) << name << ": " << visit.handshake.error;
    return visit.answer.body;
  }
  std::string upstream_json() const {
    return JsonObject().text("upstream", tenant_.url()).text("tenant", "acme-inc").str();
  }

  ScriptedCa ca_;
  HttpServer tenant_{[](const Request& request) {
    Response response;
    response.body = "tenant's page for " + request.header("host");
    return response;
  }};
  AskSite site_;
};

TEST_F(VerdictRouteTest, ItsUpstreamGetsTheRequestsOfThatNameAlsoAfterARestart) {
  site_.judge.judge_by([this](const std::string& name) {
    return name == "shop.test" ? says(upstream_json()) : Response();
  });
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(page("shop.test"), "tenant's page for shop.test");
  EXPECT_EQ(page("other.test"), "page of other.test /");
  EXPECT_EQ(at(site_.edge.admin_json("GET", "/names/shop.test"), "verdict.grant.tenant").text,
            "acme-inc");
  EXPECT_EQ(page("shop.test"), "tenant's page for shop.test");
  EXPECT_EQ(site_.judge.asked("shop.test"), 1u);
  ASSERT_TRUE(site_.edge.terminate());
  site_.judge.stop();
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(page("shop.test"), "tenant's page for shop.test");
  EXPECT_EQ(page("other.test"), "page of other.test /");
}

TEST_F(VerdictRouteTest, ANewAnswerMovesTheName) {
  site_.judge.judge_by(AskServer::answer(
      says(JsonObject().number("ttl", 1).text("upstream", site_.upstream.url()).str())));
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(page("shop.test"), "page of shop.test /");
  site_.judge.judge_by(AskServer::answer(says(upstream_json())));
  EXPECT_TRUE(eventually([&] { return page("shop.test") == "tenant's page for shop.test"; }));
  EXPECT_EQ(ca_.requests("/newOrder"), 1u);
}

TEST_F(VerdictRouteTest, TheTtlOfTheAnswerGoesBeforeCacheControlAndThatBeforeTheConfiguration) {
  site_.judge.judge_by([](const std::string& name) {
    Response response = says(name == "ttl.test" ? R"({"ttl": 300})" : "{}");
    if (name != "plain.test") response.headers.emplace_back("Cache-Control", "max-age=900");
    return response;
  });
  ASSERT_TRUE(site_.edge.start());
  const auto fresh_for = [&](const std::string& name) {
    page(name);
    return at(site_.edge.admin_json("GET", "/names/" + name), "verdict.fresh_for_seconds").number;
  };
  EXPECT_NEAR(fresh_for("ttl.test"), 300, 20);
  EXPECT_NEAR(fresh_for("age.test"), 900, 20);
  EXPECT_NEAR(fresh_for("plain.test"), 3600, 20);
}

TEST_F(VerdictRouteTest, AnAnswerThatMakesNoSenseAllowsAndIsCounted) {
  site_.judge.judge_by(AskServer::answer(says(R"({"upstream": "gopher://x", "ttl": "long")")));
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(page("shop.test"), "page of shop.test /");
}

TEST_F(VerdictRouteTest, TheReasonIsSentWhereConfigured) {
  site_.edge.settings.ask_send_reason = true;
  ASSERT_TRUE(site_.edge.start());
  page("shop.test");
  EXPECT_EQ(site_.judge.reasons("shop.test"), std::vector<std::string>{"issue"});
}

// Names of the configuration's issuers only; another one is as if nothing was said.
TEST_F(VerdictRouteTest, TheIssuerOfTheAnswerIsUsed) {
  ScriptedCa second;
  site_.edge.settings.more_issuers = "," + EdgeSettings::issuer("second", second.directory());
  site_.judge.judge_by([](const std::string& name) {
    return says(name == "a.test" ? R"({"issuer": "second"})" : R"({"issuer": "nobody"})");
  });
  ASSERT_TRUE(site_.edge.start());
  page("a.test");
  page("b.test");
  EXPECT_EQ(second.orders("a.test"), 1u);
  EXPECT_EQ(ca_.orders("a.test"), 0u);
  EXPECT_EQ(ca_.orders("b.test"), 1u);
}

}  // namespace
}  // namespace latchkey::test
