// The keys of configured certificates, twins, staples, DNS-01, export and other people's
// challenges.
#include <gtest/gtest.h>

#include <string>

#include "edge/config.h"

namespace latchkey::edge {
namespace {

// A configuration that is complete, with these keys in it, and with those of its one issuer.
std::string with(const std::string& keys, const std::string& acme = "") {
  return R"({"on_demand": {"allow": ["a.test"]}, "issuers": [{"name": "ca", "acme": {
             "directory": "https://ca.test/dir")" +
         (acme.empty() ? "" : ", " + acme) +
         R"(}}], "routes": [{"upstreams": ["http://127.0.0.1:3000"]}])" +
         (keys.empty() ? "" : ", " + keys) + "}";
}
std::string mistakes(const std::string& text) {
  auto config = parse_config(text, "my.json");
  return config ? "" : config.error().message;
}
void expect_mistake(const std::string& text, const std::string& what) {
  const std::string found = mistakes(text);
  EXPECT_NE(found.find(what), std::string::npos) << text << "\n" << found;
}

constexpr char kHook[] = R"("dns": {"hook": {"program": "/bin/dns"}})";
constexpr char kDns01[] = R"("challenges": ["dns-01"])";

TEST(ConfigFilesTest, ACertificateIsAPairOrAFolder) {
  const auto config = parse_config(
      with(R"("certificates": [{"cert_file": "c.pem", "key_file": "k.pem"}, {"dir": "live"}])"),
      "");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->certificates.size(), 2u);
  EXPECT_EQ(config->certificates[0].pair->cert_file, "c.pem");
  EXPECT_FALSE(config->certificates[0].dir);
  EXPECT_FALSE(config->certificates[1].pair);
  for (const char* wrong :
       {"{}", R"({"cert_file": "c.pem"})", R"({"key_file": "k.pem"})",
        R"({"dir": "live", "key_file": "k.pem"})",
        R"({"dir": "live", "cert_file": "c.pem", "key_file": "k.pem"})", R"({"dir": null})"}) {
    expect_mistake(with("\"certificates\": [" + std::string(wrong) + "]"),
                   "certificates[0]: expected {\"cert_file\"");
  }
  expect_mistake(with(R"("certificates": [{"dir": ""}])"), "certificates[0].dir");
  expect_mistake(with(R"("certificates": [{"dir": "x", "watch": true}])"), "unknown key");
}

TEST(ConfigFilesTest, ConfiguredCertificatesAloneMayBeServed) {
  EXPECT_EQ(mistakes(R"({"certificates": [{"dir": "live"}],
      "issuers": [{"name": "ca", "acme": {"directory": "https://ca.test/dir"}}],
      "routes": [{"upstreams": ["http://127.0.0.1:3000"]}]})"),
            "");
}

TEST(ConfigFilesTest, Dns01NeedsAWayToPutRecords) {
  const std::string found = mistakes(with("", kDns01));
  EXPECT_NE(found.find("\"dns-01\""), std::string::npos) << found;
  EXPECT_NE(found.find("\"dns\""), std::string::npos) << found;
  EXPECT_EQ(mistakes(with(kHook, kDns01)), "");
  EXPECT_EQ(mistakes(with(kHook)), "") << "it may wait for its issuer";
  expect_mistake(with(kHook, R"("challenges": ["dns-02"])"), "issuers[0].acme.challenges[0]");
}

TEST(ConfigFilesTest, AManagedWildcardNeedsAnIssuerThatCanProveIt) {
  const std::string wildcard = R"("managed": ["*.Shop.test", "shop.test"])";
  for (const std::string& text : {with(wildcard), with(wildcard + ", " + kHook)}) {
    const std::string found = mistakes(text);
    for (const char* part :
         {"managed: \"*.shop.test\"", "\"dns-01\"", "acme.challenges", "\"dns\""}) {
      EXPECT_NE(found.find(part), std::string::npos) << found;
    }
  }
  const auto config = parse_config(with(wildcard + ", " + kHook, kDns01), "");
  ASSERT_TRUE(config) << config.error().message;
  const std::vector<ServerName> names = managed_names(*config);
  ASSERT_EQ(names.size(), 2u);
  EXPECT_TRUE(names[0].is_wildcard());
  EXPECT_EQ(names[0].text(), "*.shop.test");
  expect_mistake(with(R"("managed": ["*._x.test"], )" + std::string(kHook), kDns01),
                 "on_demand.underscore");
}

TEST(ConfigFilesTest, AnAddressCannotBeProvenByDns) {
  expect_mistake(with(R"("managed": ["203.0.113.7"], )" + std::string(kHook), kDns01),
                 "managed: \"203.0.113.7\" is an address");
  EXPECT_EQ(mistakes(with(R"("managed": ["203.0.113.7"], )" + std::string(kHook),
                          R"("challenges": ["dns-01", "http-01"])")),
            "");
}

TEST(ConfigFilesTest, RecordsArePutInOneWay) {
  const std::string one = "expected one of \"hook\" and \"rfc2136\"";
  expect_mistake(with(R"("dns": {})"), one);
  expect_mistake(with(R"("dns": {"hook": null, "rfc2136": null})"), one);
  expect_mistake(with(R"("dns": {"hook": {"program": "p"}, "rfc2136": {"server": "192.0.2.1"}})"),
                 one);
  expect_mistake(with(R"("dns": "cloud")"), "dns: expected an object like");
  expect_mistake(with(R"("dns": {"hook": {"timeout": "5s"}})"), "program is missing");
  EXPECT_EQ(mistakes(with(R"("dns": null)")), "");
}

TEST(ConfigFilesTest, ANameServerIsAnAddress) {
  const auto rfc2136 = [](const std::string& keys) {
    return with("\"dns\": {\"rfc2136\": {" + keys + "}}");
  };
  for (const auto& [written, meant] :
       {std::pair("192.0.2.1", "192.0.2.1:53"), std::pair("192.0.2.1:5353", "192.0.2.1:5353"),
        std::pair("[2001:db8::1]", "[2001:db8::1]:53"),
        std::pair("[2001:db8::1]:5353", "[2001:db8::1]:5353")}) {
    const auto config = parse_config(rfc2136("\"server\": \"" + std::string(written) + "\""), "");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->dns->rfc2136->server, meant);
    EXPECT_EQ(config->dns->rfc2136->algorithm, "hmac-sha256");
    EXPECT_EQ(config->dns->rfc2136->ttl, 60);
  }
  for (const char* wrong : {"ns.test", "2001:db8::1", "192.0.2.1:0", "192.0.2.1:99999", ""}) {
    expect_mistake(rfc2136("\"server\": \"" + std::string(wrong) + "\""), "dns.rfc2136.server");
  }
  const std::string server = R"("server": "192.0.2.1")";
  expect_mistake(rfc2136(""), "server is missing");
  expect_mistake(rfc2136(server + R"(, "key_name": "k")"), "go together");
  expect_mistake(rfc2136(server + R"(, "secret_file": "f")"), "go together");
  expect_mistake(rfc2136(server + R"(, "algorithm": "hmac-md5")"), "dns.rfc2136.algorithm");
  expect_mistake(rfc2136(server + R"(, "zone": "a b")"), "dns.rfc2136.zone");
  EXPECT_EQ(mistakes(rfc2136(server + R"(, "key_name": "k", "secret_file": "f", "zone": null)")),
            "");
}

TEST(ConfigFilesTest, ResolversAreAddressesAndFew) {
  const auto resolvers = [](const std::string& list) {
    return with("\"dns\": {\"hook\": {\"program\": \"p\"}, \"resolvers\": [" + list + "]}");
  };
  EXPECT_EQ(parse_config(resolvers(""), "")->dns->resolvers, "");
  expect_mistake(resolvers(R"("dns.test")"), "dns.resolvers[0]");
  expect_mistake(resolvers(R"("1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1",
                              "1.1.1.1","1.1.1.1","1.1.1.1")"),
                 "at most 8");
}

TEST(ConfigFilesTest, TwinsAreOneOfThreeWords) {
  EXPECT_EQ(parse_config(with(R"("rsa": "never")"), "")->rsa, RsaTwins::kNever);
  expect_mistake(with(R"("rsa": true)"), "rsa: expected");
  expect_mistake(with(R"("rsa": "sometimes")"), "rsa: expected");
}

TEST(ConfigFilesTest, ExportNeedsAFolder) {
  expect_mistake(with(R"("export": {})"), "dir is missing");
  expect_mistake(with(R"("export": {"dir": "d", "hook": {}})"), "program is missing");
  expect_mistake(with(R"("export": "d")"), "export: expected an object like");
  const auto config = parse_config(with(R"("export": {"dir": "d"})"), "");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->export_to->hook);
}

TEST(ConfigFilesTest, TheChallengeUpstreamIsOneUrlBehindPort80) {
  expect_mistake(with(R"("challenge_upstream": "ftp://127.0.0.1")"), "challenge_upstream");
  expect_mistake(with(R"("challenge_upstream": "http://127.0.0.1/certbot")"), "challenge_upstream");
  expect_mistake(with(R"("listen": {"http": []}, "challenge_upstream": "http://127.0.0.1:1")"),
                 "listen.http");
  const auto config = parse_config(with(R"("challenge_upstream": "http://127.0.0.1:8888")"), "");
  ASSERT_TRUE(config) << config.error().message;
  const auto route = make_challenge_route(*config);
  ASSERT_TRUE(route && *route != nullptr);
  for (const char* host : {"any.test", "203.0.113.7", "", "not a name"}) {
    const Route* const found = (*route)->find(host, "/");
    ASSERT_NE(found, nullptr) << host;
    EXPECT_EQ(found->group->origins.front().text(), "127.0.0.1:8888");
  }
  EXPECT_EQ(*make_challenge_route(*parse_config(with(""), "")), nullptr);
}

TEST(ConfigFilesTest, CertificatesAndTheChallengeUpstreamNeedNoRestart) {
  const Config before = *parse_config(with(""), "");
  Config after = before;
  after.certificates.push_back({.dir = "live"});
  after.challenge_upstream = "http://127.0.0.1:8888";
  EXPECT_EQ(changed_keys(before, after),
            (std::vector<std::string>{"certificates", "challenge_upstream"}));
  EXPECT_TRUE(keys_for_restart(before, after).empty());
  after.rsa = RsaTwins::kNever;
  after.ocsp = false;
  after.dns.emplace().hook.emplace().program = "p";
  after.export_to.emplace().dir = "d";
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"rsa", "ocsp.enabled", "dns", "export"}));
}

}  // namespace
}  // namespace latchkey::edge
