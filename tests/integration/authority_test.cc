// The edge with an authority of its own: alone, and as a CA for others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/support/challenge_dns.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/openssl_client.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Site::Options with_authority() {
  Site::Options options;
  options.authority = true;
  return options;
}

std::filesystem::path written(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
  return file;
}

class AuthorityTest : public ::testing::Test {
 protected:
  ProgramEnded openssl_visit(const std::string& name) {
    const auto root = written(site.folder / "root.pem", site.edge.authority_roots());
    return openssl_client(
        site.folder / "", site.https.number(), name,
        {"-CAfile", root.string(), "-verify_hostname", name, "-verify_return_error", "-brief"});
  }
  std::string active(const char* kind) {
    const JsonValue all = site.edge.admin_json("GET", "/authorities");
    for (const JsonValue& signer : at(all, "authorities.0.signers").items) {
      if (signer.text_of("kind") == kind && at(signer, "active").boolean) {
        return std::string(signer.text_of("serial"));
      }
    }
    return "";
  }

  Site site{with_authority()};
};

TEST_F(AuthorityTest, IssuesAtTheFirstHandshakeAndOpensslVerifiesIt) {
  ASSERT_TRUE(site.edge.start());
  const auto visit = site.visit("shop.test", "/welcome");
  ASSERT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_EQ(visit.answer.body, "page of shop.test /welcome");
  EXPECT_LE(visit.handshake.left, std::chrono::hours(12));
  const auto openssl = openssl_visit("other.test");
  EXPECT_EQ(openssl.code, 0) << openssl.output;
  EXPECT_THAT(openssl.output, HasSubstr("Verification: OK"));
  EXPECT_EQ(site.visit("shop.test").handshake.serial, visit.handshake.serial);
  EXPECT_TRUE(site.edge.terminate());
  EXPECT_EQ(site.edge.final_count("orders"), 2);
  EXPECT_THAT(site.edge.log(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_F(AuthorityTest, TheCommandPrintsTheRootAndNothingElse) {
  ASSERT_TRUE(site.edge.start());
  const auto root = site.edge.command({"authority", "root"});
  EXPECT_EQ(root.code, 0) << root.output;
  EXPECT_THAT(root.output, StartsWith("-----BEGIN CERTIFICATE-----\n"));
  EXPECT_THAT(root.output, Not(HasSubstr("PRIVATE")));
  EXPECT_EQ(root.output, site.edge.authority_roots());
  EXPECT_EQ(site.edge.command({"authority", "root", "test"}).output, root.output);
  EXPECT_EQ(site.edge.command({"authority", "root", "other"}).code, 1);
  const auto status = site.edge.command({"authority", "status"});
  EXPECT_EQ(status.code, 0) << status.output;
  EXPECT_THAT(status.output, HasSubstr("intermediate"));
  EXPECT_THAT(status.output, HasSubstr(active("root")));
  EXPECT_THAT(site.edge.command({"status"}).output, HasSubstr("intermediate until"));
  const auto account = site.edge.command({"account", "roll-key", "test"});
  EXPECT_EQ(account.code, 1);
  EXPECT_THAT(account.output, HasSubstr("it has no account"));
}

TEST_F(AuthorityTest, TheRootOutlivesARestart) {
  ASSERT_TRUE(site.edge.start());
  const std::string roots = site.roots();
  EXPECT_TRUE(site.visit("one.test").handshake.verified);
  ASSERT_TRUE(site.edge.terminate());
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.roots(), roots);
  EXPECT_TRUE(site.visit("one.test").handshake.verified);
  EXPECT_TRUE(site.visit("two.test").handshake.verified);
}

TEST_F(AuthorityTest, ANewIntermediateOrRootBreaksNothing) {
  ASSERT_TRUE(site.edge.start());
  const std::string old_root = site.roots();
  const auto before = site.visit("old.test").handshake;
  ASSERT_TRUE(before.verified) << before.error;
  const std::string intermediate = active("intermediate");
  EXPECT_EQ(site.edge.command({"authority", "rotate"}).code, 0);
  EXPECT_NE(active("intermediate"), intermediate);
  EXPECT_EQ(site.roots(), old_root);
  const auto kept = site.visit("old.test").handshake;
  EXPECT_TRUE(kept.verified) << kept.error;
  EXPECT_EQ(kept.serial, before.serial);
  EXPECT_TRUE(site.visit("new.test").handshake.verified);

  const auto rotated = site.edge.command({"authority", "rotate", "--root"});
  EXPECT_EQ(rotated.code, 0) << rotated.output;
  EXPECT_THAT(rotated.output, HasSubstr("latchkey authority root"));
  EXPECT_NE(site.roots(), old_root);
  EXPECT_TRUE(site.visit("newest.test").handshake.verified) << "by the new root";
  EXPECT_TRUE(site.visit("old.test").handshake.verified) << "whose root is still among them";
}

TEST_F(AuthorityTest, LifetimesThatBreakChainsAreRefusedWithTheInequality) {
  site.edge.settings.authority =
      R"({"leaf_lifetime": "72h", "intermediate_lifetime": "168h", "renewal_window_ratio": 0.2})";
  site.edge.launch();
  const auto ended = site.edge.expect_end();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 78);
  EXPECT_THAT(site.edge.log(), HasSubstr("issuers[0].authority: leaf_lifetime"));
  EXPECT_THAT(site.edge.log(), HasSubstr("33h36m"));
}

TEST_F(AuthorityTest, ShortLeavesAreRenewedInTime) {
  site.edge.settings.authority =
      R"({"leaf_lifetime": "20s", "intermediate_lifetime": "5m", "root_lifetime": "1h"})";
  ASSERT_TRUE(site.edge.start());
  const auto first = site.visit("shop.test").handshake;
  ASSERT_TRUE(first.verified) << first.error;
  Handshake later;
  EXPECT_TRUE(eventually(
      [&] {
        later = site.visit("shop.test").handshake;
        EXPECT_TRUE(later.verified) << later.error;
        return later.serial != first.serial;
      },
      Millis(40'000)));
  EXPECT_GT(later.left.count(), 10);
  EXPECT_GE(site.edge.count("certificate_renewed"), 1U);
}

TEST_F(AuthorityTest, RefusesNamesThatItMustNotSign) {
  site.edge.settings.authority = R"({"allow": ["*.in.test"]})";
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("a.in.test").handshake.verified);
  EXPECT_FALSE(site.visit("out.test").handshake.done);
  const auto explained = site.edge.command({"explain", "out.test"});
  EXPECT_THAT(explained.output, HasSubstr("issuers[].authority.allow"));
  EXPECT_THAT(explained.output, HasSubstr("rejected"));
}

TEST_F(AuthorityTest, NoBoundOfCasHoldsForIt) {
  site.edge.settings.allow = {};
  site.edge.settings.ask = site.ask_url();
  site.edge.settings.throttle = EdgeSettings::rate(1, "1d");
  ASSERT_TRUE(site.edge.start());
  const auto visits =
      site.swarm(80, [](size_t i) { return "n" + std::to_string(i) + ".customers.test"; });
  for (const Handshake& one : visits) EXPECT_TRUE(one.verified) << one.error;
}

// --- for others

class AcmeHostTest : public AuthorityTest {
 protected:
  AcmeHostTest() {
    site.edge.settings.keys.emplace_back(
        "acme_server",
        R"({"hosts": ["ca.localhost"], "allow": ["*.other.test"], "validation": {"http_port": )" +
            std::to_string(other_http.number()) +
            ", \"tls_port\": " + std::to_string(other_https.number()) + R"(, "resolvers": [")" +
            dns.address() + "\"]}}");
  }
  HttpAnswer ask_ca(const std::string& request) {
    TlsClient client(site.tls("ca.localhost"));
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
    return HttpConversation(client).exchange(request);
  }
  HttpAnswer ask_ca_for(const std::string& target) {
    return ask_ca("GET " + target + " HTTP/1.1\r\nHost: ca.localhost\r\n\r\n");
  }

  ReservedPort other_http, other_https;
  ChallengeDns dns{site.folder / "dns"};
};

TEST_F(AcmeHostTest, TheHostHasACertificateWithoutAVisitAndTheDirectoryIsThere) {
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.edge.wait_for("certificate_obtained"));
  const HttpAnswer directory = ask_ca_for("/acme/test/directory");
  EXPECT_EQ(directory.status, 200);
  EXPECT_THAT(directory.body, HasSubstr("https://ca.localhost"));
  EXPECT_THAT(directory.body, HasSubstr("newNonce"));
  EXPECT_EQ(ask_ca_for("/").status, 404);
  EXPECT_EQ(ask_ca_for("/acme/nobody/directory").status, 404);
  const HttpAnswer large = ask_ca(
      "POST /acme/test/new-order HTTP/1.1\r\nHost: ca.localhost\r\nContent-Length: "
      "7000000\r\n\r\n");
  EXPECT_EQ(large.status, 413);
  EXPECT_THAT(large.header("content-type"), HasSubstr("application/problem+json"));
  EXPECT_EQ(site.visit("shop.test").answer.body, "page of shop.test /") << "as ever";
  const auto status = site.edge.command({"authority", "status"});
  EXPECT_THAT(status.output,
              HasSubstr("https://ca.localhost:" + std::to_string(site.https.number()) +
                        "/acme/test/directory"));
}

TEST_F(AcmeHostTest, RevocationIsAskedAboutByPlainHttp) {
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("shop.test").handshake.verified);
  const JsonValue all = site.edge.admin_json("GET", "/authorities");
  std::string id;
  for (const JsonValue& signer : at(all, "authorities.0.signers").items) {
    if (signer.text_of("kind") == "intermediate") id = at(signer, "id").text;
  }
  const HttpAnswer crl = site.plain_get("ca.localhost", "/acme/test/crl/" + id);
  EXPECT_EQ(crl.status, 200);
  EXPECT_EQ(crl.header("content-type"), "application/pkix-crl");
  const auto file = written(site.folder / "crl.der", crl.body);
  const auto read =
      openssl(site.folder / "", {"crl", "-inform", "DER", "-in", file.string(), "-noout", "-text"});
  EXPECT_EQ(read.code, 0) << read.output;
  const HttpAnswer issuer = site.plain_get("ca.localhost", "/acme/test/issuer/" + id);
  EXPECT_EQ(issuer.status, 200);
  EXPECT_EQ(issuer.header("content-type"), "application/pkix-cert");
  EXPECT_EQ(site.plain_get("ca.localhost", "/acme/test/crl/999").status, 404);
  EXPECT_EQ(site.plain_get("ca.localhost", "/acme/test/directory").status, 308);
  EXPECT_EQ(site.plain_get("ca.localhost", "/").status, 308);

  // OCSP, as clients ask.
  const auto root = written(site.folder / "root.pem", site.roots());
  const auto leaf = written(
      site.folder / "leaf.pem",
      std::string(site.edge.admin_json("GET", "/names/shop.test/certificate").text_of("pem")));
  const auto signer_file = written(site.folder / "signer.der", issuer.body);
  const auto converted = openssl(site.folder / "", {"x509", "-inform", "DER", "-in",
                                                    signer_file.string(), "-out", "signer.pem"});
  ASSERT_EQ(converted.code, 0) << converted.output;
  const auto ocsp =
      openssl(site.folder / "",
              {"ocsp", "-issuer", "signer.pem", "-cert", leaf.string(), "-CAfile", root.string(),
               "-url", "http://127.0.0.1:" + std::to_string(site.http.number()) + "/acme/test/ocsp",
               "-header", "Host=ca.localhost"});
  EXPECT_EQ(ocsp.code, 0) << ocsp.output;
  EXPECT_THAT(ocsp.output, HasSubstr("Response verify OK"));
  EXPECT_THAT(ocsp.output, HasSubstr(": good"));
}

TEST_F(AcmeHostTest, OurOwnLeavesAreStapledWithoutTheNetwork) {
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(eventually([&] { return !site.visit("shop.test").handshake.staple.empty(); }));
}

TEST_F(AcmeHostTest, AnotherEdgeIsAnAcmeClientOfIt) {
  ASSERT_TRUE(site.edge.start());
  EdgeSettings settings;
  settings.https_port = other_https.number();
  settings.http_port = other_http.number();
  settings.state_dir = site.folder / "other-state";
  settings.allow = {"*.other.test", "*.unlisted.test"};
  settings.upstream = site.upstream.url();
  settings.directory =
      "https://ca.localhost:" + std::to_string(site.https.number()) + "/acme/test/directory";
  settings.ca_file = written(site.folder / "ca-root.pem", site.roots());
  Edge other(site.folder / "other", settings);
  ASSERT_TRUE(other.start());
  std::set<std::string> serials;
  for (const char* name : {"a.other.test", "b.other.test"}) {
    TlsOptions options = site.tls(name);
    options.port = other_https.number();
    TlsClient client(options);
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error << other.log();
    serials.insert(client.handshake().serial);
  }
  EXPECT_EQ(serials.size(), 2U);
  TlsOptions options = site.tls("a.unlisted.test");
  options.port = other_https.number();
  EXPECT_FALSE(TlsClient(options).handshake().done);

  // What is allowed is taken at a reload.
  auto& keys = site.edge.settings.keys;
  const size_t end = keys.back().second.find("*.other.test");
  keys.back().second.replace(end, 12, "*.unlisted.test");
  EXPECT_EQ(site.edge.reload(), "reloaded");
  EXPECT_EQ(other.command({"retry", "a.unlisted.test"}).code, 0);
  EXPECT_TRUE(eventually([&] { return TlsClient(options).handshake().verified; }));
  EXPECT_EQ(other.command({"certs", "revoke", "a.other.test"}).code, 0);
}

TEST_F(AcmeHostTest, AProcessThatTakesOverSignsUnderTheSameRoot) {
  ASSERT_TRUE(site.edge.start());
  const std::string roots = site.roots();
  ASSERT_TRUE(site.visit("one.test").handshake.verified);
  const std::string intermediate = active("intermediate");
  ASSERT_TRUE(site.edge.upgrade());
  EXPECT_EQ(site.roots(), roots);
  EXPECT_EQ(active("intermediate"), intermediate);
  EXPECT_TRUE(site.visit("two.test").handshake.verified);
  EXPECT_EQ(ask_ca_for("/acme/test/directory").status, 200);
}

TEST_F(AcmeHostTest, TrustingIsSaidInTheLog) {
  auto& json = site.edge.settings.keys.back().second;
  json.replace(json.find("\"resolvers\""), 0, "\"trusting\": true, ");
  ASSERT_TRUE(site.edge.start());
  EXPECT_EQ(site.edge.count("acme_server_trusting"), 1U);
}

}  // namespace
}  // namespace latchkey::test
