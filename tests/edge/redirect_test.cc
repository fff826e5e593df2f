#include "edge/redirect.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

std::string location(const std::string& to, const std::string& target,
                     const std::string& authority = "WWW.a.test:8443") {
  RequestHead head;
  head.authority = authority;
  head.target = target;
  const Redirect rule{to, 308};
  EXPECT_TRUE(check_redirect(rule)) << to;
  return redirect_location(rule, head);
}

TEST(RedirectTest, SaysWhereTheRequestGoes) {
  EXPECT_EQ(location("https://a.test{path}{query}", "/p/q?x=1&y"), "https://a.test/p/q?x=1&y");
  EXPECT_EQ(location("https://a.test{path}", "/p?x=1"), "https://a.test/p");
  EXPECT_EQ(location("https://a.test/new{query}", "/old?x"), "https://a.test/new?x");
  EXPECT_EQ(location("https://a.test/new{query}", "/old"), "https://a.test/new");
  EXPECT_EQ(location("https://{host}:8444{path}", "/p"), "https://www.a.test:8444/p");
  EXPECT_EQ(location("https://m.{host}/", "/p"), "https://m.www.a.test/");
  EXPECT_EQ(location("https://a.test/from/{host}{path}", "/p"), "https://a.test/from/www.a.test/p");
  EXPECT_EQ(location("https://a.test{path}", "*"), "https://a.test/");
  EXPECT_EQ(location("https://{host}{path}", "/", "[2001:db8::1]:443"), "https://[2001:db8::1]/");
}

TEST(RedirectTest, NobodyIsSentElsewhereByWhatHeAsks) {
  EXPECT_EQ(location("https://a.test{path}{query}", "//evil.test/"), "https://a.test//evil.test/");
  EXPECT_EQ(location("https://a.test{path}", "/\\evil.test"), "https://a.test/%5Cevil.test");
  EXPECT_EQ(location("https://a.test{path}", "/\r\nSet-Cookie: x"),
            "https://a.test/%0D%0ASet-Cookie:%20x");
  EXPECT_EQ(location("https://a.test{path}", "/\xc3\xa4"), "https://a.test/%C3%A4");
}

TEST(RedirectTest, RulesThatAreNoneAreRefused) {
  for (const char* to :
       {"", "a.test", "//a.test", "/path", "ftp://a.test", "javascript:alert(1)", "https://",
        "https://{path}", "https://{query}", "https:///{host}", "https://a.test{host",
        "https://a}b", "https://a.test/{what}", "https://u@a.test/", "https://a.test/\r\nx",
        "https://a.test/ x", "https://a.test:port/", "https://{host}{host}/"}) {
    EXPECT_FALSE(check_redirect({to, 308})) << to;
  }
  EXPECT_FALSE(check_redirect({"https://a.test/", 200}));
  EXPECT_FALSE(check_redirect({"https://a.test/", 304}));
}

}  // namespace
}  // namespace latchkey::edge
