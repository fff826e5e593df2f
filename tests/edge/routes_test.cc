#include "edge/routes.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/url.h"
#include "policy/ask_answer.h"

namespace latchkey::edge {
namespace {

Route route(std::vector<std::string> hosts, uint16_t port) {
  Route made;
  made.hosts = std::move(hosts);
  made.upstreams = {{"127.0.0.1", port}};
  return made;
}

TEST(ParseUpstreamTest, HostsAndPortsAreRead) {
  const auto text = [](std::string_view url) {
    const auto origin = parse_upstream(url);
    return origin ? origin->text() : origin.error().message;
  };
  EXPECT_EQ(text("http://127.0.0.1:3000"), "127.0.0.1:3000");
  EXPECT_EQ(text("http://App.Internal/"), "app.internal:80");
  EXPECT_EQ(text("http://[::1]:3000/"), "[::1]:3000");
  EXPECT_EQ(text("http://[::1]"), "[::1]:80");
}

TEST(ParseUpstreamTest, ErrorsSayWhatWouldDo) {
  for (const char* url :
       {"", "127.0.0.1:3000", "ftp://a", "http://", "http://a:0", "http://a:65536", "http://a:b",
        "http://a b", "http://u@a", "http://:80", "http://[::1"}) {
    const auto origin = parse_upstream(url);
    ASSERT_FALSE(origin) << url;
    EXPECT_EQ(origin.error().code, ErrorCode::kInvalid);
    EXPECT_NE(origin.error().message.find("\"" + url_without_secrets(url) + "\""),
              std::string::npos)
        << origin.error().message;
  }
  for (const char* url : {"http://u:s3cret@a", "https://u:s3cret@a", "http://u:s3?cret@a/",
                          "http://a/x?key=s3cret", "u:s3cret@a"}) {
    const std::string message = parse_upstream(url).error().message;
    EXPECT_EQ(message.find("cret"), std::string::npos) << message;
  }
  EXPECT_NE(parse_upstream("https://a").error().message.find("comes later"), std::string::npos);
  EXPECT_NE(parse_upstream("http://a/b").error().message.find("has no path"), std::string::npos);
}

TEST(ParseUpstreamTest, TheAskEndpointMayNameTheSameOnes) {
  for (const char* url : {"http://a",
                          "http://a/",
                          "http://a:1/",
                          "http://A.b_c-d:65535",
                          "http://[::1]",
                          "http://[::1]:80/",
                          "http://127.0.0.1:3000",
                          "http://a:0",
                          "http://a:00000",
                          "http://a:",
                          "http://a:65536",
                          "http://a:000080",
                          "http://a:b",
                          "http://",
                          "http:///",
                          "http://a//",
                          "http://a/b",
                          "http://a?b",
                          "http://a#b",
                          "http://u@a",
                          "http://u:p@a",
                          "http://.a",
                          "http://[::1",
                          "http://[]",
                          "http://[::0]",
                          "http://[::1]:0",
                          "http://::1",
                          "https://a",
                          "HTTP://a",
                          "a:80",
                          "http://a b",
                          "http://a%41",
                          "http://a\\b",
                          "http://\xc3\xa4"}) {
    const std::string body = JsonObject().text("upstream", url).str();
    const AskAnswer answer = parse_ask_answer(body, "");
    EXPECT_EQ(answer.grant.upstream, parse_upstream(url) ? url : kUnusableUpstream) << url;
  }
}

TEST(RoutingTableTest, TheClosestPatternWins) {
  const auto made = RoutingTable::make({
      route({"*"}, 1),
      route({"*.a.test"}, 2),
      route({"x.a.test", "B.test"}, 3),
      route({"*.deep.a.test"}, 4),
      route({"x.a.test"}, 5),
  });
  ASSERT_TRUE(made);
  const auto port = [&](std::string_view host) { return (*made)->find(host)->upstreams[0].port; };
  EXPECT_EQ(port("c.test"), 1);
  EXPECT_EQ(port("a.test"), 1) << "a suffix pattern does not mean the suffix itself";
  EXPECT_EQ(port("y.a.test"), 2);
  EXPECT_EQ(port("z.y.a.test"), 2);
  EXPECT_EQ(port("x.a.test"), 3);
  EXPECT_EQ(port("b.test"), 3);
  EXPECT_EQ(port("x.deep.a.test"), 4);
}

TEST(RoutingTableTest, NoRouteIsNoRoute) {
  const auto made = RoutingTable::make({route({"a.test"}, 1)});
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->find("b.test"), nullptr);
  EXPECT_EQ((*made)->find(""), nullptr);
}

TEST(RoutingTableTest, MistakesAreNamed) {
  const auto message = [](Route bad) {
    const auto made = RoutingTable::make({route({"ok.test"}, 1), std::move(bad)});
    return made ? std::string("accepted") : made.error().message;
  };
  EXPECT_NE(message(route({}, 1)).find("routes[1].hosts"), std::string::npos);
  EXPECT_NE(message(route({"a.*.test"}, 1)).find("\"a.*.test\""), std::string::npos);
  EXPECT_NE(message(route({"a.test:80"}, 1)).find("\"a.test:80\""), std::string::npos);
  Route headers = route({"a.test"}, 1);
  headers.request_headers = {{"Content-Length", "0"}};
  EXPECT_NE(message(headers).find("Content-Length cannot be set"), std::string::npos);
  headers.request_headers = {{"X", "a\r\nb"}};
  EXPECT_NE(message(headers).find("control characters"), std::string::npos);
  headers.request_headers = {{"X Y", "a"}};
  EXPECT_NE(message(headers).find("not a header name"), std::string::npos);
  Route none = route({"a.test"}, 1);
  none.upstreams.clear();
  EXPECT_NE(message(none).find("routes[1].upstreams"), std::string::npos);
}

}  // namespace
}  // namespace latchkey::edge
