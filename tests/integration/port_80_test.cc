// The plain HTTP listener.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

class Port80Test : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.allow = {"shop.test", "*.shops.test"};
    ASSERT_TRUE(site_.edge.start());
  }

  Site site_;
};

TEST_F(Port80Test, SendsWantedNamesToHttps) {
  for (const char* host : {"shop.test", "SHOP.test", "a.shops.test"}) {
    const auto answer = site_.plain_get(host, "/cart?x=1&y=%20");
    EXPECT_EQ(answer.status, 308) << host;
    EXPECT_THAT(answer.header("location"), StartsWith("https://"));
    EXPECT_THAT(answer.header("location"), EndsWith("/cart?x=1&y=%20"));
  }
  EXPECT_THAT(site_.plain_get("shop.test").header("location"), StartsWith("https://shop.test"));
}

TEST_F(Port80Test, KnowsNoOtherName) {
  for (const char* host : {"other.test", "shops.test", "127.0.0.1", "shop.test.evil.test"}) {
    EXPECT_EQ(site_.plain_get(host).status, 404) << host;
  }
}

TEST_F(Port80Test, IsNoOpenRedirect) {
  PlainClient client(site_.http.number());
  const auto answer = HttpConversation(client).exchange(
      "GET http://evil.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  EXPECT_EQ(answer.header("location").find("evil"), std::string::npos) << answer.header("location");
  EXPECT_EQ(site_.plain_get("shop.test", "//evil.test/").header("location").find("https://evil"),
            std::string::npos);
}

TEST_F(Port80Test, HasNoChallengeThatNobodyOffered) {
  const std::string path = "/.well-known/acme-challenge/";
  EXPECT_EQ(site_.plain_get("shop.test", path + "abc").status, 404);
  EXPECT_EQ(site_.plain_get("shop.test", path + "../../etc/passwd").status, 404);
  EXPECT_EQ(site_.plain_get("shop.test", path).status, 404);
}

TEST_F(Port80Test, KeepsTheConnectionAndForwardsNothing) {
  PlainClient client(site_.http.number());
  HttpConversation http(client);
  EXPECT_EQ(http.get("shop.test").status, 308);
  EXPECT_EQ(http.get("other.test").status, 404);
  EXPECT_EQ(http.get("shop.test").status, 308);
  EXPECT_EQ(site_.upstream.requests(), 0u);
  EXPECT_LE(site_.pebble->orders(), 1u);  // shop.test's, ahead of its first visitor
}

TEST_F(Port80Test, AnswersNonsenseWith400) {
  PlainClient client(site_.http.number());
  EXPECT_EQ(HttpConversation(client).exchange("nonsense\r\n\r\n").status, 400);
  PlainClient tls(site_.http.number());
  EXPECT_EQ(HttpConversation(tls).exchange("\x16\x03\x01\x02\r\n\r\n").status, 400);
}

}  // namespace
}  // namespace latchkey::test
