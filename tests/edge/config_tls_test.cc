// `tls`: versions, ciphers, groups and clients' certificates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "edge/config.h"

namespace latchkey::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Config> parse(const std::string& tls) {
  return parse_config(R"({"on_demand": {"allow": ["a.test"]}, "issuers": [{"name": "ca", "acme": {
      "directory": "https://ca.test/dir"}}], "routes": [{"upstreams": ["http://127.0.0.1:3000"]}],
      "tls": )" + tls + "}",
                      "my.json");
}
std::string mistakes(const std::string& tls) {
  const auto config = parse(tls);
  return config ? "" : config.error().message;
}

TEST(ConfigTlsTest, NamesOfBothKindsMeanTheSame) {
  const auto config = parse(R"({"min_version": "1.2", "ciphers": [
      "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
      "groups": ["secp384r1", "X25519"], "client_certificates": {"ca_file": "clients.pem",
      "mode": "request", "hosts": ["A.Test", "*.b.test"]}})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->tls.only_tls13);
  EXPECT_THAT(config->tls.ciphers,
              ElementsAre("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"));
  EXPECT_THAT(config->tls.groups, ElementsAre("P-384", "X25519"));
  ASSERT_TRUE(config->tls.client_certificates);
  EXPECT_FALSE(config->tls.client_certificates->required);
  EXPECT_THAT(config->tls.client_certificates->hosts, ElementsAre("a.test", "*.b.test"));
  const std::string shown = show_config(*config);
  const auto again = parse_config(shown, "shown.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(show_config(*again), shown);
  EXPECT_TRUE(changed_keys(*config, *again).empty());
}

TEST(ConfigTlsTest, MistakesAreNamedWithWhatWouldDo) {
  EXPECT_THAT(mistakes(R"({"min_version": "1.1"})"), HasSubstr("tls.min_version: expected"));
  EXPECT_THAT(mistakes(R"({"ciphers": ["RC4-SHA"]})"),
              AllOf(HasSubstr("tls.ciphers"), HasSubstr("ECDHE-ECDSA-AES128-GCM-SHA256"),
                    HasSubstr("RC4-SHA")));
  EXPECT_THAT(mistakes(R"({"groups": ["X25519", "CECPQ2"]})"),
              AllOf(HasSubstr("tls.groups"), HasSubstr("P-256"), HasSubstr("CECPQ2")));
  EXPECT_THAT(mistakes(R"({"min_version": "1.3", "ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"]})"),
              HasSubstr("which min_version leaves out"));
  EXPECT_THAT(mistakes(R"({"client_certificates": {}})"), HasSubstr("ca_file is missing"));
  EXPECT_THAT(mistakes(R"({"client_certificates": {"ca_file": "c", "mode": "may"}})"),
              HasSubstr("tls.client_certificates.mode: expected"));
  EXPECT_THAT(mistakes(R"({"client_certificates": {"ca_file": "c", "hosts": []}})"),
              HasSubstr("for all hosts, leave it out"));
  EXPECT_THAT(mistakes(R"({"client_certificates": {"ca_file": "c", "hosts": ["a b"]}})"),
              HasSubstr("tls.client_certificates.hosts"));
  EXPECT_THAT(mistakes(R"({"client_certificates": {"ca_file": "c", "hosts": ["192.0.2.1"]}})"),
              HasSubstr("tls.client_certificates.hosts"));
}

TEST(ConfigTlsTest, AReloadTakesAllOfIt) {
  const auto before = parse("{}");
  const auto after = parse(R"({"min_version": "1.3", "groups": ["P-256"],
                               "client_certificates": {"ca_file": "c"}})");
  ASSERT_TRUE(before && after);
  EXPECT_THAT(changed_keys(*before, *after),
              ElementsAre("tls.min_version", "tls.groups", "tls.client_certificates"));
  EXPECT_TRUE(keys_for_restart(*before, *after).empty());
}

}  // namespace
}  // namespace latchkey::edge
