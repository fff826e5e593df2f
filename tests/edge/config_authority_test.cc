// The keys of embedded authorities.
#include <gtest/gtest.h>

#include <string>

#include "edge/config.h"

namespace latchkey::edge {
namespace {

std::string with(const std::string& authority, const std::string& keys = "",
                 const std::string& more_issuers = "") {
  return R"({"on_demand": {"allow": ["*.test"]}, )" + keys +
         R"("issuers": [{"name": "local", "authority": )" + authority + "}" + more_issuers +
         R"(], "routes": [{"upstreams": ["http://127.0.0.1:3000"]}]})";
}

std::string mistakes(const std::string& text) {
  const auto config = parse_config(text, "my.json");
  return config ? "" : config.error().message;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ConfigAuthorityTest, HasDefaultsThatAreGood) {
  const auto config = parse_config(with("{}"), "my.json");
  ASSERT_TRUE(config) << config.error().message;
  const auto& authority = config->issuers[0].authority;
  ASSERT_TRUE(authority);
  EXPECT_EQ(authority->lifetimes.leaf, std::chrono::hours(12));
  EXPECT_EQ(authority->lifetimes.intermediate, std::chrono::days(7));
  EXPECT_EQ(authority->lifetimes.root, std::chrono::days(3650));
  EXPECT_TRUE(authority->allow.empty());
  EXPECT_FALSE(config->acme_server);
  EXPECT_EQ(limits_of(config->issuers[0]).table, "none");
  EXPECT_EQ(status_url(*config, config->issuers[0]), "");
}

// Caddy's documented numbers.
TEST(ConfigAuthorityTest, LifetimesThatWouldBreakChainsAreRefusedWithTheInequality) {
  const std::string text =
      mistakes(with(R"({"leaf_lifetime": "72h", "intermediate_lifetime": "168h"})"));
  EXPECT_TRUE(says(text, "my.json:1:")) << text;
  EXPECT_TRUE(says(text, "issuers[0].authority: leaf_lifetime")) << text;
  EXPECT_TRUE(says(text, "33h36m")) << text;
}

TEST(ConfigAuthorityTest, AnIssuerIsOneThingOrTheOther) {
  const std::string acme = R"({"directory": "https://ca.test/dir"})";
  EXPECT_TRUE(says(mistakes(with("{}", "", R"(, {"name": "b"})")),
                   "issuers[1]: acme or authority is missing"));
  EXPECT_TRUE(
      says(mistakes(with("{}, \"acme\": " + acme)), "expected one of \"acme\" and \"authority\""));
  EXPECT_TRUE(says(mistakes(with("\"yes\"")), "issuers[0].authority: expected an object like"));
  EXPECT_TRUE(says(mistakes(with("{\"leaf\": \"1h\"}")), "authority.leaf: unknown key"));
  EXPECT_TRUE(says(mistakes(with("{}, \"limits\": \"none\"")), "issuers[0].limits"));
  EXPECT_EQ(mistakes(with("{}", "", ", {\"name\": \"b\", \"acme\": " + acme + "}")), "");
  EXPECT_EQ(mistakes(with("{}", "", ", {\"name\": \"b\", \"authority\": {}}")), "");
}

TEST(ConfigAuthorityTest, ItsNameIsPartOfUrls) {
  EXPECT_TRUE(says(mistakes(with("{}", "", R"(, {"name": "my ca", "authority": {}})")),
                   "\"my ca\" of an authority is part of URLs"));
}

TEST(ConfigAuthorityTest, AMachineMayBeACaAndNothingElse) {
  const std::string issuers = R"({"issuers": [{"name": "local", "authority": {}}])";
  EXPECT_EQ(mistakes(issuers + R"(, "acme_server": {"hosts": ["ca.test"], "allow": ["*.test"]}})"),
            "");
  EXPECT_TRUE(says(mistakes(issuers + R"(, "on_demand": {"allow": ["*.test"]}})"), "routes: none"));
}

TEST(ConfigAuthorityTest, TheServerNeedsHostsNamesAndAnAuthority) {
  const auto server = [](const std::string& keys) {
    return mistakes(with("{}", "\"acme_server\": {" + keys + "}, "));
  };
  EXPECT_EQ(server(R"("hosts": ["ca.test"], "allow": ["*.test", "192.0.2.1", "10.0.0.0/8"])"), "");
  EXPECT_TRUE(says(server(R"("allow": [])"), "acme_server: hosts is missing"));
  EXPECT_TRUE(says(server(R"("hosts": [], "allow": [])"), "acme_server.hosts: expected at least"));
  EXPECT_TRUE(says(server(R"("hosts": ["ca.test"])"), "acme_server: allow is missing"));
  EXPECT_TRUE(says(server(R"("hosts": ["*.test"], "allow": [])"), "acme_server.hosts[0]"));
  EXPECT_TRUE(says(server(R"("hosts": ["ca.test"], "allow": ["*"])"), "acme_server.allow[0]"));
  EXPECT_TRUE(says(server(R"("hosts": ["ca.test"], "allow": [], "authority": "x")"),
                   "no issuer with the key \"authority\" is named \"x\""));
  EXPECT_TRUE(says(server(R"("hosts": ["ca.test"], "allow": [], "eab_required": true)"),
                   "acme_server.eab_required"));
  EXPECT_TRUE(says(server(R"("hosts": ["ca.test"], "allow": [], "eab_keys": [
      {"kid": "a", "hmac_key_file": "f"}, {"kid": "a", "hmac_key_file": "g"}])"),
                   "two have the kid \"a\""));
}

TEST(ConfigAuthorityTest, TrustingIsForLoopbackOnly) {
  const std::string server =
      R"("acme_server": {"hosts": ["ca.test"], "allow": [], "validation": {"trusting": true}}, )";
  EXPECT_TRUE(says(mistakes(with("{}", server)), "acme_server.validation.trusting"));
  EXPECT_TRUE(says(mistakes(with("{}", R"("listen": {"https": ["127.0.0.1:443"]}, )" + server)),
                   "0.0.0.0:80"));
  EXPECT_EQ(
      mistakes(with(
          "{}", R"("listen": {"https": ["127.0.0.1:443", "[::1]:443"], "http": []}, )" + server)),
      "");
}

TEST(ConfigAuthorityTest, ItsHostsAreManagedNames) {
  const auto config = parse_config(
      with("{}", R"("managed": ["b.test"], "acme_server": {"hosts": ["ca.test"], "allow": []}, )"),
      "my.json");
  ASSERT_TRUE(config) << config.error().message;
  const auto names = managed_names(*config);
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[1].text(), "ca.test");
  EXPECT_EQ(served_authority(*config), 0U);
  EXPECT_EQ(status_url(*config, config->issuers[0]), "http://ca.test/acme/local");
}

TEST(ConfigAuthorityTest, TheStatusUrlHasThePortOfTheListener) {
  auto config = parse_config(with("{}", R"("listen": {"http": ["127.0.0.1:8080"]},
      "acme_server": {"hosts": ["ca.test"], "allow": []}, )"),
                             "my.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(status_url(*config, config->issuers[0]), "http://ca.test:8080/acme/local");
  config->http.clear();
  EXPECT_EQ(status_url(*config, config->issuers[0]), "");
}

TEST(ConfigAuthorityTest, NamesOfTheAskEndpointAreBoundedForCasOnly) {
  EXPECT_FALSE(parse_config(with("{}"), "my.json")->on_demand.per_registered_domain);
  const std::string acme = R"(, {"name": "b", "acme": {"directory": "https://ca.test/dir"}})";
  EXPECT_TRUE(parse_config(with("{}", "", acme), "my.json")->on_demand.per_registered_domain);
  std::string text = with("{}");
  text.insert(text.find("\"allow\""), R"("per_registered_domain": {"burst": 7, "per": "1d"}, )");
  EXPECT_EQ(parse_config(text, "my.json")->on_demand.per_registered_domain->burst, 7);
}

TEST(ConfigAuthorityTest, AReloadTakesWhatOthersMayHave) {
  const Config before = *parse_config(
      with("{}", R"("acme_server": {"hosts": ["ca.test"], "allow": []}, )"), "my.json");
  Config after = before;
  after.acme_server->allow = {"a.test"};
  EXPECT_EQ(changed_keys(before, after), std::vector<std::string>{"acme_server.allow"});
  EXPECT_TRUE(keys_for_restart(before, after).empty());
  after.acme_server->hosts = {"other.test"};
  after.issuers[0].authority->lifetimes.leaf = std::chrono::hours(1);
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"issuers", "acme_server.hosts"}));
}

}  // namespace
}  // namespace latchkey::edge
