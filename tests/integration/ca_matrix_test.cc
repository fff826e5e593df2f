// The life of a certificate with two implementations of RFC 8555: Pebble and Caddy.
#include <gtest/gtest.h>

#include "tests/support/caddy.h"
#include "tests/support/eventually.h"
#include "tests/support/namespaces.h"
#include "tests/support/site.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {
namespace {

enum class Kind { kPebble, kCaddy };

// Caddy looks for challenges on the ports 80 and 443, hence the network of our own. Pebble comes
// along: with it as the second CA one can fall back on the other.
class CaMatrixTest : public ::testing::Test {
 protected:
  void set_up(Kind kind, std::vector<std::string> challenges = {}) {
    if (kind == Kind::kPebble) {
      site_.emplace();
    } else if (!enter_caddys_world()) {
      GTEST_SKIP() << "this kernel does not let us have a network of our own";
    }
    if (caddy_) use_caddy();
    site_->edge.settings.challenges = std::move(challenges);
  }

  bool enter_caddys_world() {
    if (!enter_own_network()) return false;
    write_text(hosts_ / "hosts", "127.0.0.1 localhost a.test b.test c.test\n");
    if (!show_instead("/etc/hosts", hosts_ / "hosts")) return false;
    Site::Options options;
    options.pebble_tls_port = 443;
    options.pebble_http_port = 80;
    site_.emplace(options);
    site_->edge.settings.https_port = port_ = 443;
    site_->edge.settings.http_port = 80;
    caddy_.emplace(site_->folder / "caddy");
    return true;
  }

  void use_caddy() {
    site_->edge.settings.directory = caddy_->directory();
    site_->edge.settings.ca_file = caddy_->ca_file();
  }
  // `ca`: the one whose certificate it must be.
  TlsOptions tls(const std::string& name, Kind ca) {
    TlsOptions options = site_->tls(name);
    if (port_ != 0) options.port = port_;
    if (ca == Kind::kCaddy) options.roots = caddy_->roots();
    return options;
  }
  Handshake visit(const std::string& name, Kind ca) { return TlsClient(tls(name, ca)).handshake(); }
  std::string issuer(std::string_view name, const std::string& directory,
                     const std::filesystem::path& ca_file) {
    const std::string acme = JsonObject()
                                 .text("directory", directory)
                                 .boolean("accept_terms", true)
                                 .text("ca_file", ca_file.string())
                                 .str();
    return JsonObject().text("name", name).raw("acme", acme).str();
  }

  TempFolder hosts_;
  std::optional<Site> site_;
  std::optional<Caddy> caddy_;  // only where it is used
  uint16_t port_ = 0;           // of the edge; 0: the site's
};

class EachCaTest : public CaMatrixTest, public ::testing::WithParamInterface<Kind> {};

TEST_P(EachCaTest, IssuesRenewsAndRevokes) {
  set_up(GetParam());
  if (IsSkipped()) return;
  Edge& edge = site_->edge;
  ASSERT_TRUE(edge.start());
  const Handshake first = visit("a.test", GetParam());
  ASSERT_TRUE(first.verified) << first.error;

  const auto renewed = edge.admin("POST", "/names/a.test:renew");
  EXPECT_EQ(renewed.status, 200) << renewed.body;
  const Handshake second = visit("a.test", GetParam());
  EXPECT_TRUE(second.verified) << second.error;
  EXPECT_NE(second.serial, first.serial);

  const auto revoked = edge.admin("POST", "/names/a.test:revoke", R"({"reason":"keyCompromise"})");
  EXPECT_EQ(revoked.status, 200) << revoked.body;
  if (GetParam() == Kind::kPebble) {
    EXPECT_EQ(site_->pebble->status_of(second.serial), "Revoked");
    EXPECT_EQ(site_->pebble->status_of(first.serial), "Valid");
  }
  // The name is still wanted: there is another one, with another key.
  Handshake third;
  EXPECT_TRUE(eventually([&] {
    third = visit("a.test", GetParam());
    return third.verified && third.serial != second.serial;
  })) << third.error;
  EXPECT_NE(third.serial, first.serial);
  EXPECT_TRUE(edge.terminate());
}

INSTANTIATE_TEST_SUITE_P(With, EachCaTest, ::testing::Values(Kind::kPebble, Kind::kCaddy),
                         [](const auto& test) {
                           return test.param == Kind::kPebble ? "Pebble" : "Caddy";
                         });

struct Way {
  Kind ca;
  const char* challenge;
};

class EachChallengeTest : public CaMatrixTest, public ::testing::WithParamInterface<Way> {};

TEST_P(EachChallengeTest, Suffices) {
  set_up(GetParam().ca, {GetParam().challenge});
  if (IsSkipped()) return;
  ASSERT_TRUE(site_->edge.start());
  for (const char* name : {"a.test", "b.test"}) {
    const Handshake handshake = visit(name, GetParam().ca);
    EXPECT_TRUE(handshake.verified) << handshake.error;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Alone, EachChallengeTest,
    ::testing::Values(Way{Kind::kPebble, "http-01"}, Way{Kind::kPebble, "tls-alpn-01"},
                      Way{Kind::kCaddy, "http-01"}, Way{Kind::kCaddy, "tls-alpn-01"}),
    [](const auto& test) {
      const bool pebble = test.param.ca == Kind::kPebble;
      const bool http = test.param.challenge[0] == 'h';
      return std::string(http ? "Http01" : "TlsAlpn01") + (pebble ? "WithPebble" : "WithCaddy");
    });

TEST_F(CaMatrixTest, OneStandsInForTheOther) {
  set_up(Kind::kCaddy);
  if (IsSkipped()) return;
  EdgeSettings& settings = site_->edge.settings;
  settings.issuers = issuer("pebble", site_->pebble->directory(), site_->pebble->ca_file()) + ",";
  ASSERT_TRUE(site_->edge.start());
  Handshake handshake = visit("a.test", Kind::kPebble);
  EXPECT_TRUE(handshake.verified) << handshake.error;
  site_->pebble->stop();
  handshake = visit("b.test", Kind::kCaddy);
  EXPECT_TRUE(handshake.verified) << handshake.error;

  // ... and the other way round.
  site_->pebble->start();
  settings.issuers = issuer("caddy", caddy_->directory(), caddy_->ca_file()) + ",";
  settings.directory = site_->pebble->directory();
  settings.ca_file = site_->pebble->ca_file();
  caddy_->stop();
  ASSERT_TRUE(site_->edge.terminate());
  ASSERT_TRUE(site_->edge.start());
  handshake = visit("c.test", Kind::kPebble);
  EXPECT_TRUE(handshake.verified) << handshake.error;
  // A renewal, too: Caddy, which made b.test's certificate, is not there.
  const auto renewed = site_->edge.admin("POST", "/names/b.test:renew");
  EXPECT_EQ(renewed.status, 200) << renewed.body;
  handshake = visit("b.test", Kind::kPebble);
  EXPECT_TRUE(handshake.verified) << handshake.error;
}

// 48 bytes in base64url.
constexpr const char* kMacKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

class ExternalAccountTest : public ::testing::Test {
 protected:
  static Site::Options options() {
    Site::Options result;
    result.external_accounts = {{"kid-7", kMacKey}};
    return result;
  }
  void bind_to(std::string_view kid, std::string_view mac_key) {
    const auto file = site_.folder / "eab-key";
    write_text(file, mac_key);
    std::filesystem::permissions(
        file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    site_.edge.settings.eab = EdgeSettings::external_account(kid, file);
  }

  Site site_{options()};
};

TEST_F(ExternalAccountTest, BindsOurs) {
  bind_to("kid-7", kMacKey);
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);
  EXPECT_FALSE(site_.edge.logged(kMacKey));
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.visit("b.test").handshake.verified);  // by the account that there is
}

TEST_F(ExternalAccountTest, WithoutOneTheRemedyIsNamed) {
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("a.test").handshake().alert, alert::kInternalError);
  EXPECT_TRUE(site_.edge.logged("issuance_failed", "eab")) << site_.edge.log();
}

TEST_F(ExternalAccountTest, AWrongKeyIsToldAndNotShown) {
  const std::string wrong = "A" + std::string(kMacKey).substr(1);
  bind_to("kid-7", wrong);
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("a.test").handshake().alert, alert::kInternalError);
  EXPECT_EQ(site_.edge.count("issuance_failed", "a.test"), 1u);
  EXPECT_FALSE(site_.edge.logged(wrong));
}

TEST(AlternateChainTest, ThePreferredOneIsServed) {
  Site::Options options;
  options.alternate_roots = 2;
  Site site(options);
  const std::string other = site.pebble->root(2);
  ASSERT_NE(other, site.pebble->root(0));
  site.edge.settings.preferred_chain = common_name(other);
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("a.test");
  EXPECT_FALSE(TlsClient(client).handshake().verified);  // by the CA's own choice of a root
  client.roots = other;
  const TlsClient connection(client);
  EXPECT_TRUE(connection.handshake().verified) << connection.handshake().error;
}

TEST(AlternateChainTest, OneThatIsNotOfferedStopsNobody) {
  Site::Options options;
  options.alternate_roots = 1;
  Site site(options);
  site.edge.settings.preferred_chain = "No Such Root";
  ASSERT_TRUE(site.edge.start());
  const auto visit = site.visit("a.test");
  EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_TRUE(site.edge.logged("No Such Root")) << "the operator should hear of it";
}

TEST(AddressTest, AConfiguredOneGetsACertificateThatIsServedWithoutSni) {
  Site site;
  site.edge.settings.managed = {"127.0.0.1"};
  site.edge.settings.challenges = {"http-01"};
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("");
  client.name = "127.0.0.1";
  Handshake handshake;
  EXPECT_TRUE(eventually([&] {
    handshake = TlsClient(client).handshake();
    return handshake.verified;
  })) << handshake.error;
  EXPECT_EQ(site.pebble->orders(), 1u);
  // It says nothing of names.
  EXPECT_EQ(site.connect("127.0.0.1").handshake().alert, alert::kUnrecognizedName);
  ASSERT_TRUE(site.edge.terminate());
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(eventually([&] { return TlsClient(client).handshake().verified; }));
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(ManagedNamesTest, HaveCertificatesBeforeAnybodyComes) {
  Site site;
  site.edge.settings.allow = {"other.test"};
  site.edge.settings.managed = {"a.test", "b.test"};
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(eventually([&] { return site.pebble->issued() == 2; }));
  EXPECT_TRUE(site.visit("a.test").handshake.verified);
  EXPECT_TRUE(site.visit("b.test").handshake.verified);
  EXPECT_EQ(site.pebble->orders(), 2u);
}

}  // namespace
}  // namespace latchkey::test
