// Groups and routes of the configuration, and what becomes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "edge/config.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string with(const std::string& keys) {
  return R"({"on_demand": {"allow": ["a.test"]}, "issuers": [{"name": "x", "acme": {
    "directory": "https://ca.test/dir", "accept_terms": true}}], )" +
         keys + "}";
}

std::string mistake(const std::string& keys) {
  const auto config = parse_config(with(keys), "my.json");
  return config ? "accepted" : config.error().message;
}

constexpr char kRoute[] = R"("routes": [{"group": "app"}])";

TEST(ConfigRoutesTest, AGroupIsReadWhole) {
  const auto config = parse_config(with(R"(
    "groups": [{"name": "app", "upstreams": ["http://127.0.0.1:1", "https://b.test"],
      "weights": [3, 1], "balance": "least_conn", "health": {"path": "/h", "fall": 1},
      "ejection": {"failures": 2}, "slow_start": "10s", "retries": 1, "http2": true}],
    "routes": [{"hosts": ["a.test"], "paths": ["/api/*"], "group": "app"},
               {"upstreams": ["h2c://127.0.0.1:2"]}])"),
                                   "my.json");
  ASSERT_TRUE(config) << config.error().message;
  std::vector<std::string> troubles;
  const auto routes = make_routes(*config, troubles);
  const auto group = routes->group("app");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(routes->find("a.test", "/api/x")->group, group);
  EXPECT_EQ(routes->groups().size(), 2u);
  EXPECT_EQ(group->origins.size(), 2u);
  EXPECT_EQ(group->weights, (std::vector<unsigned>{3, 1}));
  EXPECT_EQ(group->balance, Balance::kLeastConn);
  EXPECT_EQ(group->health->path, "/h");
  EXPECT_EQ(group->health->fall, 1u);
  EXPECT_EQ(group->health->rise, 2u);
  EXPECT_EQ(group->ejection->failures, 2u);
  EXPECT_EQ(group->slow_start, 10s);
  EXPECT_EQ(group->retries, 1u);
  EXPECT_TRUE(group->http2);
  EXPECT_TRUE(routes->find("b.test", "/")->group->origins.front().http2);
  // What is shown is read the same.
  EXPECT_TRUE(parse_config(show_config(*config), "shown.json"));
}

TEST(ConfigRoutesTest, MistakesAreNamed) {
  const std::string route = kRoute;
  const auto group = [&](const std::string& keys) {
    return mistake(R"("groups": [{"name": "app", "upstreams": ["http://a"], )" + keys + "}], " +
                   route);
  };
  EXPECT_THAT(mistake(route), HasSubstr("there is no group \"app\""));
  EXPECT_THAT(mistake(R"("routes": [{}])"), HasSubstr("expected at least one URL, or \"group\""));
  EXPECT_THAT(mistake(R"("groups": [{"name": "app", "upstreams": ["http://a"]}],
                         "routes": [{"group": "app", "upstreams": ["http://b"]}])"),
              HasSubstr("set one of them"));
  EXPECT_THAT(mistake(R"("groups": [{"name": "app", "upstreams": []}], )" + route),
              HasSubstr("at least one URL"));
  EXPECT_THAT(mistake(R"("groups": [{"upstreams": ["http://a"]}], )" + route),
              HasSubstr("name is missing"));
  EXPECT_THAT(mistake(R"("groups": [{"name": "app", "upstreams": ["http://a"]},
                         {"name": "app", "upstreams": ["http://b"]}], )" +
                      route),
              HasSubstr("another group has this name"));
  EXPECT_THAT(mistake(R"("groups": [{"name": "unusable", "upstreams": ["http://a"]}], )" + route),
              HasSubstr("groups[0].name"));
  EXPECT_THAT(group(R"("weights": [1, 2])"), HasSubstr("there are 2 for 1 upstreams"));
  EXPECT_THAT(group(R"("weights": [0])"), HasSubstr("weights[0]"));
  EXPECT_THAT(group(R"("balance": "best")"), HasSubstr("round_robin"));
  EXPECT_THAT(group(R"("health": {"path": "healthz"})"), HasSubstr("health.path"));
  EXPECT_THAT(group(R"("health": {"status_from": 400, "status_to": 200})"),
              HasSubstr("no status would do"));
  EXPECT_THAT(group(R"("health": "yes")"), HasSubstr("health"));
  EXPECT_THAT(group(R"("tls": {"cert_file": "c"})"), HasSubstr("go together"));
  EXPECT_THAT(group(R"("http2": true, "proxy_protocol": "v2")"), HasSubstr("take either out"));
  EXPECT_THAT(group(R"("retry": 1)"), HasSubstr("groups[0].retry: unknown key"));
  EXPECT_THAT(mistake(R"("routes": [{"upstreams": ["http://a"], "paths": ["/a/../b"]}])"),
              HasSubstr("it is matched as \"/b\""));
}

TEST(ConfigRoutesTest, TlsFilesAreReadAndWhatIsWrongWithThemIsSaid) {
  const test::TempFolder folder;
  const auto load = [&](const std::string& tls) {
    auto config = parse_config(
        with(R"("groups": [{"name": "app", "upstreams": ["https://a.test"], "tls": {)" + tls +
             "}}], " + kRoute),
        "my.json");
    EXPECT_TRUE(config) << config.error().message;
    config->folder = folder.path();
    std::vector<std::string> troubles;
    const auto routes = make_routes(*config, troubles);
    const auto group = routes->group("app");
    EXPECT_EQ(group->tls->trouble().empty(), troubles.empty());
    return troubles.empty() ? std::string() : troubles.front();
  };
  std::ofstream(folder.path() / "empty.pem") << "nothing";
  EXPECT_THAT(load(R"("ca_file": "missing.pem")"), HasSubstr("groups: app: TLS: ca_file"));
  EXPECT_THAT(load(R"("ca_file": "missing.pem")"), HasSubstr("missing.pem"));
  EXPECT_THAT(load(R"("ca_file": "empty.pem")"), HasSubstr("no certificate (PEM) is in it"));
}

TEST(ConfigRoutesTest, GroupsThatSayTheSameAreTheSame) {
  const auto identity = [](const std::string& keys) {
    const auto config = parse_config(
        with(R"("groups": [{"name": "app", "upstreams": ["http://a"], )" + keys + "}], " + kRoute),
        "my.json");
    std::vector<std::string> troubles;
    return make_routes(*config, troubles)->group("app")->identity();
  };
  EXPECT_EQ(identity(R"("retries": 3)"), identity(R"("retries": 3)"));
  for (const char* other :
       {R"("retries": 2)", R"("balance": "ip_hash")", R"("weights": [2])", R"("health": {})",
        R"("health": {"fall": 9})", R"("ejection": null)", R"("slow_start": "1s")",
        R"("proxy_protocol": "v1")", R"("http2": true)"}) {
    EXPECT_NE(identity(R"("retries": 3)"), identity(other)) << other;
  }
}

}  // namespace
}  // namespace latchkey::edge
