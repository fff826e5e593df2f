// What readers make of names, settings and keys that others wrote.
#include <gtest/gtest.h>

#include "edge/import/acme_url.h"
#include "edge/import/conf_text.h"
#include "edge/import/jwk.h"
#include "tests/edge/import/trees.h"

namespace latchkey::edge {
namespace {

TEST(ImportConfTest, CertbotsParametersAreThoseOfTheirSection) {
  const std::string text =
      "version = 2.1.0\nserver = https://top.test/\n[renewalparams]\r\n  server = "
      "'https://ca.test/dir'  \naccount=\"abc\"\n# server = https://no.test\n[[map]]\n"
      "key = inner\n";
  EXPECT_EQ(certbot_parameter(text, "server"), "https://ca.test/dir");
  EXPECT_EQ(certbot_parameter(text, "account"), "abc");
  EXPECT_EQ(certbot_parameter(text, "key"), "");
  EXPECT_EQ(certbot_parameter("", "server"), "");
  EXPECT_EQ(certbot_parameter("[renewalparams]\nserver = a\x01"
                              "b\n",
                              "server"),
            "");
  EXPECT_EQ(certbot_parameter("[renewalparams]\nserver = " + std::string(5000, 'x'), "server"), "");
}

TEST(ImportConfTest, AcmeShsValuesAreQuotedOrInBase64AndNeverRun) {
  const std::string text =
      "Le_Domain='a.test'\nLe_API='https://ca.test/dir'\n"
      "Le_Pre='__ACME_BASE64__START_ZWNobyBoaQ==__ACME_BASE64__END_'\n"
      "Le_Bad='__ACME_BASE64__START_%%%__ACME_BASE64__END_'\nBare=value\nEmpty=''\n"
      "Run=$(touch x)\n";
  EXPECT_EQ(acme_sh_parameter(text, "Le_API"), "https://ca.test/dir");
  EXPECT_EQ(acme_sh_parameter(text, "Le_Pre"), "echo hi");
  EXPECT_EQ(acme_sh_parameter(text, "Le_Bad"), "");
  EXPECT_EQ(acme_sh_parameter(text, "Bare"), "value");
  EXPECT_EQ(acme_sh_parameter(text, "Empty"), "");
  EXPECT_EQ(acme_sh_parameter(text, "Run"), "$(touch x)");
  EXPECT_EQ(acme_sh_parameter(text, "Le_"), "");
  EXPECT_EQ(acme_sh_parameter("Le_API='__ACME_BASE64__START_", "Le_API"), "'__ACME_BASE64__START_");
}

TEST(ImportUrlTest, AFoldersPathAndTheAccountsUrlMakeADirectory) {
  const char* const account = "https://acme-v02.api.letsencrypt.org/acme/acct/1";
  EXPECT_EQ(directory_from_path("acme-v02.api.letsencrypt.org/directory", account),
            "https://acme-v02.api.letsencrypt.org/directory");
  EXPECT_EQ(directory_from_path("acme-v02.api.letsencrypt.org/directory", ""),
            "https://acme-v02.api.letsencrypt.org/directory");
  EXPECT_EQ(directory_from_path("127.0.0.1:14000/dir", "http://127.0.0.1:14000/a/1"),
            "http://127.0.0.1:14000/dir");
  // acme.sh loses the port.
  EXPECT_EQ(directory_from_path("ca.test/dir/x", "https://ca.test:14000/a/1"),
            "https://ca.test:14000/dir/x");
  EXPECT_EQ(directory_from_path("[::1]/dir", "https://[::1]:14000/a/1"), "https://[::1]:14000/dir");
  EXPECT_EQ(directory_from_path("ca.test/dir", "https://other.test/a/1"), "https://ca.test/dir");
  EXPECT_EQ(directory_from_path("", account), "");
}

TEST(ImportUrlTest, CaddysKeyAndAUrlOfTheCaMakeADirectory) {
  EXPECT_EQ(directory_from_caddy_key("acme-v02.api.letsencrypt.org-directory",
                                     "https://acme-v02.api.letsencrypt.org/acme/cert/1"),
            "https://acme-v02.api.letsencrypt.org/directory");
  EXPECT_EQ(directory_from_caddy_key("127.0.0.1-14000-dir", "https://127.0.0.1:14000/c/1"),
            "https://127.0.0.1:14000/dir");
  EXPECT_EQ(directory_from_caddy_key("acme.zerossl.com-v2-dv90",
                                     "https://acme.zerossl.com/v2/DV90/cert/1"),
            "https://acme.zerossl.com/v2/DV90");
  EXPECT_EQ(directory_from_caddy_key("acme-v02.api.letsencrypt.org-directory", ""),
            "https://acme-v02.api.letsencrypt.org/directory");
  EXPECT_EQ(directory_from_caddy_key("ca.test-dir", ""), "");
  EXPECT_EQ(directory_from_caddy_key("local", "garbage"), "");
}

TEST(ImportUrlTest, DirectoriesAreTheSameWhateverTheirCapitals) {
  EXPECT_TRUE(same_directory("https://CA.test/v2/DV90/", "https://ca.test/v2/dv90"));
  EXPECT_TRUE(same_directory("", ""));
  EXPECT_FALSE(same_directory("https://ca.test/dir", "https://ca.test/dir2"));
}

TEST(ImportJwkTest, AKeyComesOutAsItWentIn) {
  for (const PrivateKey& key : {generate_p256_key(), generate_p384_key(), generate_rsa_key()}) {
    const auto json = parse_json(jwk_of(key));
    ASSERT_TRUE(json);
    const Result<PrivateKey> read = private_key_from_jwk(*json);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(private_key_to_der(*read), private_key_to_der(key));
  }
}

TEST(ImportJwkTest, WhatIsNoKeyIsRefusedAndNotQuoted) {
  const std::string good = jwk_of(generate_rsa_key());
  const std::string ec = jwk_of(generate_p256_key());
  std::vector<std::string> bad{"{}",
                               R"({"kty": "oct", "k": "c2VjcmV0"})",
                               R"({"kty": 7})",
                               R"({"kty": "RSA", "n": "c2VjcmV0"})",
                               R"({"kty": "EC"})",
                               R"({"kty": "EC", "crv": "P-521"})"};
  // One number of another key's, or altered.
  const std::string other = jwk_of(generate_p256_key());
  const auto member = [](const std::string& json, const char* key) {
    return std::string(parse_json(json)->text_of(key));
  };
  const auto with = [&](const std::string& json, const char* key, const std::string& value) {
    std::string out = json;
    const std::string old = member(json, key);
    return out.replace(out.find(old), old.size(), value);
  };
  bad.push_back(with(ec, "d", member(other, "d")));
  bad.push_back(with(ec, "x", "AAAA"));
  bad.push_back(with(ec, "x", "!!"));
  bad.push_back(with(good, "q", member(good, "p")));
  bad.push_back(with(good, "d", "AQAB"));
  bad.push_back(with(good, "n", ""));
  bad.push_back(with(good, "n", std::string(5000, 'A')));
  for (const std::string& text : bad) {
    const auto json = parse_json(text);
    ASSERT_TRUE(json) << text;
    const Result<PrivateKey> read = private_key_from_jwk(*json);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().message.find("c2VjcmV0"), std::string::npos);
  }
}

}  // namespace
}  // namespace latchkey::edge
