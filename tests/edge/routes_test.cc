#include "edge/routes.h"

#include <gtest/gtest.h>

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
    EXPECT_NE(origin.error().message.find("\"" + std::string(url) + "\""), std::string::npos);
  }
  EXPECT_NE(parse_upstream("https://a").error().message.find("comes later"), std::string::npos);
  EXPECT_NE(parse_upstream("http://a/b").error().message.find("has no path"), std::string::npos);
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
