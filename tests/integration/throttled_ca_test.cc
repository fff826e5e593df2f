// A CA that says 429 and for how long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

constexpr int kRetryAfter = 3600;

// held_for_seconds of an issuer; -1 if it is not there.
double held_for(const Edge& edge, std::string_view issuer) {
  const auto budget = edge.admin_json("GET", "/budget");
  for (const auto& item : at(budget, "issuers").items) {
    if (item.text_of("name") == issuer) return at(item, "held_for_seconds").number;
  }
  return -1;
}

class ThrottledCaTest : public ::testing::TestWithParam<std::string> {
 protected:
  ScriptedCa busy_;
};

// The resource that says no is "GetParam()"; the CA is the first of two.
TEST_P(ThrottledCaTest, IsLeftAloneThroughARestartWhileTheSecondIssues) {
  Site site;
  site.edge.settings.issuers = EdgeSettings::issuer("busy", busy_.directory()) + ",";
  busy_.misbehave(GetParam(), ScriptedCa::rate_limited(kRetryAfter));
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    const auto visit = site.visit(name);
    EXPECT_TRUE(visit.handshake.verified) << name << ": " << visit.handshake.error;
  }
  EXPECT_EQ(busy_.requests(GetParam()), 1u);
  EXPECT_EQ(site.pebble->issued(), 3u);
  EXPECT_TRUE(site.edge.logged("busy", "3600") || site.edge.logged("busy", "rateLimited"))
      << site.edge.log();

  ASSERT_TRUE(site.edge.terminate());
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"d.test", "e.test"}) {
    const auto visit = site.visit(name);
    EXPECT_TRUE(visit.handshake.verified) << name << ": " << visit.handshake.error;
  }
  EXPECT_EQ(busy_.requests(GetParam()), 1u);
  const double held = held_for(site.edge, "busy");
  EXPECT_GT(held, kRetryAfter - 120);
  EXPECT_LE(held, kRetryAfter + 1);
  EXPECT_EQ(held_for(site.edge, "test"), 0);
  const auto shown = site.edge.command({"budget"});
  EXPECT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("busy"));
}

INSTANTIATE_TEST_SUITE_P(At, ThrottledCaTest,
                         ::testing::Values("/directory", "/newNonce", "/newAccount", "/newOrder",
                                           "/authorization", "/finalize", "/order", "/certificate"),
                         [](const auto& test) { return test.param.substr(1); });

class OnlyCaTest : public ThrottledCaTest {
 protected:
  OnlyCaTest() : site_(without_pebble()) { site_.edge.settings.directory = busy_.directory(); }
  Site site_;
};

TEST_F(OnlyCaTest, VisitorsAreRefusedForNowAndToldSoByTheApi) {
  busy_.misbehave("/newOrder", ScriptedCa::rate_limited(kRetryAfter));
  ASSERT_TRUE(site_.edge.start());
  for (int i = 0; i < 5; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    EXPECT_EQ(site_.connect(name).handshake().alert, alert::kInternalError) << name;
  }
  EXPECT_EQ(busy_.requests("/newOrder"), 1u);
  ASSERT_TRUE(site_.edge.terminate());
  busy_.behave();  // nobody asks whether it would work by now
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("n9.test").handshake().alert, alert::kInternalError);
  EXPECT_EQ(busy_.requests("/newOrder"), 1u);
  const auto answer = site_.edge.admin("POST", "/names/n9.test:obtain");
  EXPECT_EQ(answer.status, 503) << answer.body;
  EXPECT_FALSE(answer.header("retry-after").empty());
}

TEST_F(OnlyCaTest, IsAskedAgainWhenItsTimeHasPassed) {
  busy_.misbehave("/newOrder", ScriptedCa::rate_limited(2));
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("a.test").handshake().alert, alert::kInternalError);
  const Stopwatch time;
  busy_.behave();
  TlsOptions options = site_.tls("b.test");
  options.roots = busy_.roots();
  EXPECT_TRUE(eventually([&] { return TlsClient(options).handshake().verified; }, Millis(30'000)));
  EXPECT_GE(time.elapsed(), Millis(1000));
}

// What a CA says about one domain holds back that domain.
TEST_F(OnlyCaTest, ALimitOfADomainLeavesTheOthersAlone) {
  busy_.misbehave("/newOrder",
                  ScriptedCa::rate_limited(
                      kRetryAfter,
                      "too many certificates (50) already issued for \"busy.test\" in the last "
                      "168h0m0s, retry after 2030-01-01 00:00:00 UTC: see "
                      "https://letsencrypt.org/docs/rate-limits/"
                      "#new-certificates-per-registered-domain"));
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("a.busy.test").handshake().alert, alert::kInternalError);
  busy_.behave();
  EXPECT_EQ(site_.connect("b.busy.test").handshake().alert, alert::kInternalError);
  EXPECT_EQ(busy_.requests("/newOrder"), 1u);
  TlsOptions options = site_.tls("a.other.test");
  options.roots = busy_.roots();
  const TlsClient other(options);
  EXPECT_TRUE(other.handshake().verified) << other.handshake().error;
}

}  // namespace
}  // namespace latchkey::test
