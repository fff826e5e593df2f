// The edge as a CA for other machines: Debian's ACME clients obtain, renew and revoke, and OpenSSL,
// which trusts the root alone, says what their certificates are worth.
#include <gtest/gtest.h>

#include "tests/support/acme_client.h"
#include "tests/support/openssl_judge.h"
#include "tests/support/test_certificates.h"
#include "tests/support/validating_authority.h"

namespace latchkey::test {
namespace {

using Kind = AcmeClient::Kind;

constexpr const char* kNoMounts =
    "this kernel does not let us show uacme another file of authorities";

struct Case {
  Kind kind;
  const char* program;
  const char* challenge;
};

std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << one.program << " by " << one.challenge;
}

AcmeClient::Options options_at(const ValidatingAuthority& site, const std::string& name,
                               const std::string& challenge) {
  AcmeClient::Options options;
  options.folder = site.folder / "client";
  options.directory = site.directory();
  options.ca_file = site.root_file();
  options.name = name;
  options.challenge = challenge;
  options.http_port = site.http_challenge.number();
  options.tls_port = site.tls_challenge.number();
  options.dns_management = site.dns.management();
  return options;
}

class AuthorityClientsTest : public ::testing::TestWithParam<Case> {
 protected:
  ValidatingAuthority site_;
};

TEST_P(AuthorityClientsTest, ObtainsRenewsAndRevokes) {
  if (!AcmeClient::works_here(GetParam().kind)) GTEST_SKIP() << kNoMounts;
  ASSERT_TRUE(site_.start());
  const std::string name = std::string(GetParam().program) + ".test";
  const auto client =
      AcmeClient::make(GetParam().kind, options_at(site_, name, GetParam().challenge));
  const OpensslJudge judge(site_.folder / "judge", site_.root_file());

  const ProgramEnded obtained = client->obtain();
  ASSERT_EQ(obtained.code, 0) << obtained.output << site_.edge.log();
  const std::string first = client->chain();
  EXPECT_EQ(judge.trouble(first, name), "");
  EXPECT_EQ(judge.by_crl(first), "good");
  EXPECT_EQ(judge.by_ocsp(first), "good");

  const ProgramEnded renewed = client->renew();
  ASSERT_EQ(renewed.code, 0) << renewed.output << site_.edge.log();
  const std::string second = client->chain();
  EXPECT_NE(judge.serial(second), judge.serial(first));
  EXPECT_EQ(judge.trouble(second, name), "");

  const ProgramEnded revoked = client->revoke();
  ASSERT_EQ(revoked.code, 0) << revoked.output << site_.edge.log();
  EXPECT_EQ(judge.by_crl(second), "revoked");
  EXPECT_EQ(judge.by_ocsp(second), "revoked");
  EXPECT_EQ(judge.by_crl(first), "good");
  EXPECT_EQ(judge.by_ocsp(first), "good");
}

INSTANTIATE_TEST_SUITE_P(Clients, AuthorityClientsTest,
                         ::testing::Values(Case{Kind::kCertbot, "certbot", "http-01"},
                                           Case{Kind::kLego, "lego", "http-01"},
                                           Case{Kind::kLego, "lego", "tls-alpn-01"},
                                           Case{Kind::kDehydrated, "dehydrated", "http-01"},
                                           Case{Kind::kDehydrated, "dehydrated", "tls-alpn-01"},
                                           Case{Kind::kUacme, "uacme", "http-01"},
                                           Case{Kind::kUacme, "uacme", "tls-alpn-01"},
                                           Case{Kind::kCaddy, "caddy", "http-01"},
                                           Case{Kind::kCaddy, "caddy", "tls-alpn-01"}),
                         [](const auto& one) {
                           const std::string challenge = one.param.challenge;
                           return std::string(one.param.program) +
                                  (challenge == "http-01" ? "ByHttp" : "ByTlsAlpn");
                         });

TEST(AuthorityAccountsTest, OnlyWhoHasAKeyOfTheOperatorGetsAnAccountAndAWildcardIsProvenByDns) {
  ValidatingAuthority site;
  const std::filesystem::path key = site.folder / "key";
  const std::string secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
  write_text(key, secret);
  std::filesystem::permissions(key, std::filesystem::perms::owner_read);
  site.more_keys = R"(, "eab_required": true, "eab_keys": [)" +
                   EdgeSettings::external_account("kid-1", key) + "]";
  ASSERT_TRUE(site.start());
  AcmeClient::Options options = options_at(site, "*.wild.test", "dns-01");
  const ProgramEnded stranger = AcmeClient::make(Kind::kLego, options)->obtain();
  EXPECT_NE(stranger.code, 0);
  EXPECT_NE(stranger.output.find("requires External Account Binding"), std::string::npos)
      << stranger.output;

  options.folder = site.folder / "known";
  options.external_kid = "kid-1";
  options.external_key = secret;
  const auto client = AcmeClient::make(Kind::kLego, options);
  const ProgramEnded obtained = client->obtain();
  ASSERT_EQ(obtained.code, 0) << obtained.output << site.edge.log();
  const OpensslJudge judge(site.folder / "judge", site.root_file());
  EXPECT_EQ(judge.trouble(client->chain(), "any.wild.test"), "");
  EXPECT_NE(judge.trouble(client->chain(), "wild.test"), "");
}

TEST(AuthorityChainsTest, AfterANewRootTheChainSuitsWhoTrustsTheOldOneAndAShorterOneIsOffered) {
  ValidatingAuthority site;
  ASSERT_TRUE(site.start());
  const std::string old_root = read_text(site.root_file());
  const Edge::Outcome rotated = site.edge.command({"authority", "rotate", "--root"});
  ASSERT_EQ(rotated.code, 0) << rotated.output;
  const std::string both = site.edge.authority_roots();
  ASSERT_TRUE(both.ends_with(old_root)) << both;
  const std::string new_root = both.substr(0, both.size() - old_root.size());
  write_text(site.root_file(), old_root);  // nothing was told to the client
  write_text(site.folder / "new.pem", new_root);
  const OpensslJudge by_old(site.folder / "judge-old", site.root_file());
  const OpensslJudge by_new(site.folder / "judge-new", site.folder / "new.pem");

  AcmeClient::Options options = options_at(site, "any.test", "http-01");
  const auto usual = AcmeClient::make(Kind::kLego, options);
  const ProgramEnded obtained = usual->obtain();
  ASSERT_EQ(obtained.code, 0) << obtained.output << site.edge.log();
  EXPECT_EQ(by_old.trouble(usual->chain(), "any.test"), "");
  EXPECT_EQ(by_new.trouble(usual->chain(), "any.test"), "");

  options.name = "modern.test";
  options.preferred_chain = common_name(new_root);
  const auto modern = AcmeClient::make(Kind::kLego, options);
  const ProgramEnded preferred = modern->obtain();
  ASSERT_EQ(preferred.code, 0) << preferred.output << site.edge.log();
  EXPECT_EQ(by_new.trouble(modern->chain(), "modern.test"), "");
  EXPECT_NE(by_old.trouble(modern->chain(), "modern.test"), "");
}

TEST(AuthorityAddressesTest, UacmeObtainsACertificateForAnAddress) {
  if (!AcmeClient::works_here(Kind::kUacme)) GTEST_SKIP() << kNoMounts;
  for (const char* challenge : {"http-01", "tls-alpn-01"}) {
    ValidatingAuthority site;
    site.allow = {"127.0.0.0/8"};
    ASSERT_TRUE(site.start());
    const auto client = AcmeClient::make(Kind::kUacme, options_at(site, "127.0.0.1", challenge));
    const ProgramEnded obtained = client->obtain();
    ASSERT_EQ(obtained.code, 0) << obtained.output << site.edge.log();
    const OpensslJudge judge(site.folder / "judge", site.root_file());
    EXPECT_EQ(judge.trouble(client->chain(), "127.0.0.1"), "");
    EXPECT_NE(judge.trouble(client->chain(), "127.0.0.2"), "");
  }
}

}  // namespace
}  // namespace latchkey::test
