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
  auto group = std::make_shared<Group>();
  group->origins = {{"127.0.0.1", port}};
  made.group = std::move(group);
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
  EXPECT_EQ(text("https://a"), "a:443");
  EXPECT_EQ(text("h2c://a:50051"), "a:50051");
  EXPECT_EQ(text("srv+http://_http._tcp.App.test"), "_http._tcp.app.test");
  EXPECT_NE(text("srv+http://a:80").find("has no port"), std::string::npos);
  for (const char* url :
       {"http://a:80", "https://[::1]:443", "h2c://a:1", "srv+https://_x._tcp.a"}) {
    EXPECT_EQ(parse_upstream(url)->url(), url);
  }
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
                          "https://a:8443/",
                          "https://a/b",
                          "h2c://a:50051",
                          "h2://a",
                          "srv+http://_http._tcp.a",
                          "srv+https://_http._tcp.a/",
                          "srv+http://a:80",
                          "srv+http://[::1]",
                          "srv+h2c://a",
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
  const auto port = [&](std::string_view host) {
    return (*made)->find(host, "/")->group->origins[0].port;
  };
  EXPECT_EQ(port("c.test"), 1);
  EXPECT_EQ(port("a.test"), 1) << "a suffix pattern does not mean the suffix itself";
  EXPECT_EQ(port("y.a.test"), 2);
  EXPECT_EQ(port("z.y.a.test"), 2);
  EXPECT_EQ(port("x.a.test"), 3);
  EXPECT_EQ(port("b.test"), 3);
  EXPECT_EQ(port("x.deep.a.test"), 4);
}

TEST(RoutingTableTest, TheLongestPathOfTheClosestHostThatHasOneWins) {
  const auto with = [](std::vector<std::string> hosts, std::vector<std::string> paths,
                       uint16_t port) {
    Route made = route(std::move(hosts), port);
    made.paths = std::move(paths);
    return made;
  };
  const auto made = RoutingTable::make({
      with({"*"}, {}, 1),
      with({"a.test"}, {"/api/*"}, 2),
      with({"a.test"}, {"/api/v2/*", "/login"}, 3),
      with({"a.test"}, {"/api"}, 4),
      with({"*.test"}, {"/only/*"}, 5),
      with({"b.test"}, {"/*"}, 6),
  });
  ASSERT_TRUE(made) << made.error().message;
  const auto port = [&](std::string_view host, std::string_view target) {
    return (*made)->find(host, target)->group->origins[0].port;
  };
  EXPECT_EQ(port("a.test", "/"), 1);
  EXPECT_EQ(port("a.test", "/api"), 4) << "exactly this one goes before all below it";
  EXPECT_EQ(port("a.test", "/api?x=/api/v2/"), 4);
  EXPECT_EQ(port("a.test", "/api/"), 2);
  EXPECT_EQ(port("a.test", "/api/v2"), 3);
  EXPECT_EQ(port("a.test", "/api/v2/x"), 3);
  EXPECT_EQ(port("a.test", "/api/v20"), 2) << "whole segments";
  EXPECT_EQ(port("a.test", "/apix"), 1);
  EXPECT_EQ(port("a.test", "/login"), 3);
  EXPECT_EQ(port("a.test", "/login/"), 1);
  EXPECT_EQ(port("a.test", "/only/x"), 5) << "a less specific host that has one";
  EXPECT_EQ(port("b.test", "/x"), 6);
  EXPECT_EQ(port("b.test", "*"), 6);
  // No other spelling leads around a route.
  for (const char* target : {"/x/../api/v2/y", "//api//v2/y", "/%61pi/v2/y", "/api/./v2/y",
                             "/api/x/..//v2/y", "/api%2fv2/y", "/../api/v2/y"}) {
    EXPECT_EQ(port("a.test", target), 3) << target;
  }
}

TEST(MatchPathTest, HasOneSpelling) {
  EXPECT_EQ(match_path("/"), "/");
  EXPECT_EQ(match_path("/a/b?c=/d"), "/a/b");
  EXPECT_EQ(match_path("/a/"), "/a/");
  EXPECT_EQ(match_path("/a/."), "/a/");
  EXPECT_EQ(match_path("/a/b/.."), "/a/");
  EXPECT_EQ(match_path("/.."), "/");
  EXPECT_EQ(match_path("/%2e%2E/a"), "/a");
  EXPECT_EQ(match_path("/%"), "/%");
  EXPECT_EQ(match_path("/%4"), "/%4");
  EXPECT_EQ(match_path("/%zz"), "/%zz");
  EXPECT_EQ(match_path("/%2561"), "/%61") << "once";
  EXPECT_EQ(match_path("*"), "*");
}

TEST(RoutingTableTest, NoRouteIsNoRoute) {
  const auto made = RoutingTable::make({route({"a.test"}, 1)});
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->find("b.test", "/"), nullptr);
  EXPECT_EQ((*made)->find("", "/"), nullptr);
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
  for (const char* path : {"", "api", "/a*", "/a/*/b", "/a?b", "/a//b", "/a/../b", "/%61", "*"}) {
    Route paths = route({"a.test"}, 1);
    paths.paths = {path};
    EXPECT_NE(message(paths).find("routes[1].paths"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace latchkey::edge
