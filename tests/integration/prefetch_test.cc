// Certificates that are there before the first HTTPS visitor.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"

namespace latchkey::test {
namespace {

TEST(PrefetchTest, AnAllowedHitOnPort80StartsIssuance) {
  AskSite site;
  site.judge.judge_by([](const std::string& name) {
    Response response;
    if (name.starts_with("denied")) response.status = 403;
    return response;
  });
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.plain_get("shop.test", "/cart").status, 308);
  EXPECT_EQ(site.plain_get("denied.test").status, 404);
  ASSERT_TRUE(site.edge.wait_for("certificate_obtained"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(site.plain_get("shop.test").status, 308);
  EXPECT_EQ(site.pebble->orders(), 1u);
  EXPECT_EQ(site.judge.asked("shop.test"), 1u);
  EXPECT_TRUE(site.visit("shop.test").handshake.verified);
  EXPECT_EQ(site.pebble->orders(), 1u);
  EXPECT_EQ(site.edge.count("certificate_obtained", "denied.test"), 0u);
}

TEST(PrefetchTest, ManyHitsAndAVisitorShareOneOrder) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(site.plain_get("shop.test").status, 308);
  EXPECT_TRUE(site.visit("shop.test").handshake.verified);
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(PrefetchTest, AListOfNamesIsObtainedInTheBackground) {
  constexpr size_t kNames = 20;
  Site site;
  ASSERT_TRUE(site.edge.start());
  std::string names = "not a name";
  for (size_t i = 0; i < kNames; ++i) names += "\",\"n" + std::to_string(i) + ".test";
  const auto answer = site.edge.admin_json("POST", "/names", "{\"names\":[\"" + names + "\"]}");
  EXPECT_EQ(at(answer, "taken").number, kNames);
  EXPECT_EQ(at(answer, "bad.count").number, 1);
  EXPECT_EQ(at(answer, "bad.first.0.name").text, "not a name");
  ASSERT_TRUE(site.edge.wait_for("certificate_obtained", kNames, Millis(60'000)));
  EXPECT_EQ(site.pebble->orders(), kNames);
  EXPECT_TRUE(site.visit("n7.test").handshake.verified);
  EXPECT_EQ(site.pebble->orders(), kNames);
}

TEST(PrefetchTest, NamesThatPolicyDeniesAreNotObtained) {
  AskSite site;
  site.judge.judge_by(AskServer::deny_all());
  site.edge.settings.allow = {"listed.test"};
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.edge.admin("POST", "/names", R"(["denied.test","listed.test"])").status, 200);
  ASSERT_TRUE(site.edge.wait_for("certificate_obtained"));
  EXPECT_TRUE(eventually([&] { return site.judge.asked("denied.test") == 1; }));
  EXPECT_EQ(site.connect("denied.test").handshake().alert, alert::kUnrecognizedName);
  EXPECT_EQ(site.pebble->orders(), 1u);
}

}  // namespace
}  // namespace latchkey::test
