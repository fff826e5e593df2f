// The edge as a CA for other machines: Debian's ACME clients obtain, renew and revoke, and OpenSSL,
// which trusts the root alone, says what their certificates are worth.
#include <gtest/gtest.h>

#include "tests/support/acme_client.h"
#include "tests/support/openssl_judge.h"
#include "tests/support/validating_authority.h"

namespace latchkey::test {
namespace {

using Kind = AcmeClient::Kind;

struct Case {
  Kind kind;
  const char* program;
  const char* challenge;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.program << " by " << one.challenge;
}

class AuthorityClientsTest : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<AcmeClient> client(const std::string& name) const {
    AcmeClient::Options options;
    options.folder = site_.folder / "client";
    options.directory = site_.directory();
    options.ca_file = site_.root_file();
    options.name = name;
    options.challenge = GetParam().challenge;
    options.http_port = site_.http_challenge.number();
    options.tls_port = site_.tls_challenge.number();
    return AcmeClient::make(GetParam().kind, options);
  }

  ValidatingAuthority site_;
};

TEST_P(AuthorityClientsTest, ObtainsRenewsAndRevokes) {
  ASSERT_TRUE(site_.start());
  const std::string name = std::string(GetParam().program) + ".test";
  const auto client = this->client(name);
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

}  // namespace
}  // namespace latchkey::test
