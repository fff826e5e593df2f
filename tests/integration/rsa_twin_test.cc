// Clients that cannot verify an ECDSA signature.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/openssl_client.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

const std::vector<std::string> kOldOpenssl{"-sigalgs", "RSA+SHA256", "-tls1_2"};

class RsaTwinTest : public ::testing::Test {
 protected:
  void start(std::string policy) {
    site_.edge.settings.rsa = std::move(policy);
    ASSERT_TRUE(site_.edge.start());
  }
  Handshake visit(const std::string& name, bool only_rsa, bool only_tls12 = true) {
    TlsOptions client = site_.tls(name);
    client.only_rsa = only_rsa;
    client.only_tls12 = only_tls12;
    return TlsClient(client).handshake();
  }
  size_t stored() { return StoreFile(site_.database()).certificates(); }

  Site site_;
};

// A name that nobody has visited before, by a client from before ECDSA.
TEST_F(RsaTwinTest, OpensslWithoutEcdsaIsServedAnRsaCertificateInItsOwnHandshake) {
  start("on_demand");
  const auto roots = site_.folder / "roots.pem";
  write_text(roots, site_.pebble->roots());
  std::vector<std::string> arguments = kOldOpenssl;
  arguments.insert(arguments.end(), {"-CAfile", roots.string(), "-verify_return_error",
                                     "-verify_hostname", "a.test"});
  const ProgramEnded client =
      openssl_client(site_.folder.path(), site_.https.number(), "a.test", arguments);
  EXPECT_EQ(client.code, 0) << client.output;
  EXPECT_NE(client.output.find("Verify return code: 0 (ok)"), std::string::npos) << client.output;
  EXPECT_NE(client.output.find("-RSA-"), std::string::npos) << client.output;
  EXPECT_EQ(site_.pebble->orders(), 1u);
}

TEST_F(RsaTwinTest, BothKindsOfClientsAreServedWhatTheyCanVerify) {
  start("on_demand");
  const Handshake modern = visit("a.test", false);
  ASSERT_TRUE(modern.verified) << modern.error;
  EXPECT_FALSE(modern.rsa);
  for (const bool only_tls12 : {true, false}) {
    const Handshake old = visit("a.test", true, only_tls12);
    EXPECT_TRUE(old.verified) << old.error;
    EXPECT_TRUE(old.rsa);
    EXPECT_NE(old.serial, modern.serial);
  }
  EXPECT_EQ(visit("a.test", false).serial, modern.serial);
  EXPECT_EQ(site_.pebble->orders(), 2u);

  ASSERT_TRUE(site_.edge.terminate());
  EXPECT_EQ(stored(), 2u);
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit("a.test", false).serial, modern.serial);
  EXPECT_TRUE(visit("a.test", true).rsa);
  EXPECT_EQ(site_.pebble->orders(), 2u);
}

TEST_F(RsaTwinTest, AHerdOfOldClientsMakesOneOrder) {
  start("on_demand");
  SwarmOptions options;
  options.port = site_.https.number();
  options.count = 100;
  options.sni = [](size_t) { return "a.test"; };
  options.roots = site_.pebble->roots();
  options.only_rsa = true;
  for (const Handshake& handshake : swarm(options)) {
    EXPECT_TRUE(handshake.verified) << handshake.error;
    EXPECT_TRUE(handshake.rsa);
  }
  EXPECT_EQ(site_.pebble->orders(), 1u);
}

TEST_F(RsaTwinTest, WhereThereAreToBeNoneOldClientsAreRefusedAndNothingIsOrderedForThem) {
  start("never");
  const Handshake old = visit("a.test", true);
  EXPECT_FALSE(old.done);
  EXPECT_EQ(old.alert, alert::kHandshakeFailure) << old.error;
  EXPECT_TRUE(visit("a.test", false).verified);
  EXPECT_EQ(visit("a.test", true).alert, alert::kHandshakeFailure);
  EXPECT_LE(site_.pebble->orders(), 1u);
}

TEST_F(RsaTwinTest, WhereThereIsAlwaysOneItIsObtainedAhead) {
  start("always");
  const Handshake modern = visit("a.test", false);
  ASSERT_TRUE(modern.verified) << modern.error;
  ASSERT_TRUE(eventually([&] { return site_.pebble->issued() == 2; })) << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return stored() == 2; }));
  const Handshake old = visit("a.test", true);
  EXPECT_TRUE(old.verified) << old.error;
  EXPECT_TRUE(old.rsa);
  EXPECT_EQ(site_.pebble->orders(), 2u);
}

// A name that has an RSA certificate anyway serves everybody with it.
TEST(RsaKeyTypeTest, ANameWithAnRsaKeyNeedsNoTwin) {
  AskSite site;
  Response rsa;
  rsa.body = R"({"key_type":"rsa2048"})";
  site.judge.judge_by(AskServer::answer(rsa));
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("a.test");
  const Handshake modern = TlsClient(client).handshake();
  ASSERT_TRUE(modern.verified) << modern.error;
  client.only_rsa = true;
  const Handshake old = TlsClient(client).handshake();
  EXPECT_TRUE(old.verified) << old.error;
  EXPECT_EQ(old.serial, modern.serial);
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST_F(RsaTwinTest, TwinsAreRenewedTogether) {
  start("on_demand");
  const Handshake modern = visit("a.test", false);
  const Handshake old = visit("a.test", true);
  ASSERT_TRUE(modern.verified && old.verified) << modern.error << old.error;
  const auto renewed = site_.edge.admin("POST", "/names/a.test:renew");
  EXPECT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_TRUE(eventually([&] { return visit("a.test", true).serial != old.serial; }));
  EXPECT_TRUE(eventually([&] { return visit("a.test", false).serial != modern.serial; }));
  EXPECT_TRUE(visit("a.test", true).rsa);
  EXPECT_FALSE(visit("a.test", false).rsa);
  EXPECT_EQ(site_.pebble->orders(), 4u);
}

}  // namespace
}  // namespace latchkey::test
