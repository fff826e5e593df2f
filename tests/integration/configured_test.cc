// Certificates of the operator's own, in files.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"
#include "tests/support/test_certificates.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

constexpr Millis kLimit{20'000};

class ConfiguredTest : public ::testing::Test {
 protected:
  ConfiguredTest() : site_(without_pebble()) {
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.allow = {};
    site_.edge.settings.ask = ask_.url();
  }

  // Files NAME.pem and NAME.key in the folder `certs`.
  std::string put(const std::string& file, const TestCa::Names& names,
                  hours left = hours(24 * 60)) {
    const PrivateKey key = generate_p256_key();
    const WallTime now = TestCa::now();
    put_text(file + ".key", private_key_pem(key));
    put_text(file + ".pem", own_.issue_pem(names, now - hours(24 * 30), now + left, key));
    return EdgeSettings::files(certs() / (file + ".pem"), certs() / (file + ".key"));
  }
  // As careful programs do: whole, or not at all.
  void put_text(const std::string& file, std::string_view text) {
    std::filesystem::create_directories(certs());
    write_text(certs() / (file + ".new"), text);
    std::filesystem::rename(certs() / (file + ".new"), certs() / file);
  }
  std::filesystem::path certs() const { return site_.folder / "certs"; }
  void configure(const std::vector<std::string>& entries) {
    std::string all;
    for (const auto& entry : entries) all.append(all.empty() ? "" : ",").append(entry);
    site_.edge.settings.certificates = "[" + all + "]";
  }
  // By the operator's own CA; else the scripted one.
  Handshake visit(const std::string& name, bool own = true) {
    TlsOptions client = site_.tls(name);
    client.roots = own ? own_.root_pem : ca_.roots();
    return TlsClient(client).handshake();
  }

  const TestCa own_{"Operator"};
  ScriptedCa ca_;
  AskServer ask_;
  Site site_;
};

TEST_F(ConfiguredTest, TheyGoFirstExactBeforeWildcardAndNobodyIsAskedAboutThem) {
  configure({put("wild", {"*.a.test", "a.test"}), put("www", {"www.a.test", "b.test"})});
  ASSERT_TRUE(site_.edge.start());
  const Handshake www = visit("www.a.test"), other = visit("x.a.test");
  EXPECT_TRUE(www.verified) << www.error;
  EXPECT_TRUE(other.verified) << other.error;
  EXPECT_NE(www.serial, other.serial);
  EXPECT_EQ(visit("b.test").serial, www.serial);
  EXPECT_EQ(visit("a.test").serial, other.serial);
  EXPECT_EQ(visit("y.a.test").serial, other.serial);
  EXPECT_EQ(ask_.asked(), 0u);
  EXPECT_EQ(ca_.wishes().size(), 0u);

  // Beside them everything is as ever; a wildcard covers one label.
  EXPECT_TRUE(visit("elsewhere.test", false).verified);
  EXPECT_TRUE(visit("x.y.a.test", false).verified);
  EXPECT_EQ(ca_.wishes().size(), 2u);
}

TEST_F(ConfiguredTest, OneThatHasExpiredIsServedWithAWarning) {
  configure({put("old", {"a.test"}, -hours(24))});
  ASSERT_TRUE(site_.edge.start());
  for (int i = 0; i < 3; ++i) {
    const Handshake handshake = visit("a.test");
    EXPECT_TRUE(handshake.done) << handshake.error;
    EXPECT_LT(handshake.left.count(), 0);
  }
  EXPECT_TRUE(site_.edge.wait_for("configured_expired")) << site_.edge.log();
  EXPECT_EQ(site_.edge.count("configured_expired"), 1u);
  EXPECT_EQ(ca_.wishes().size(), 0u);
}

TEST_F(ConfiguredTest, ABrokenOrMismatchedPairKeepsTheOldOneAndIsReportedOnce) {
  configure({put("pair", {"a.test"})});
  ASSERT_TRUE(site_.edge.start());
  const std::string first = visit("a.test").serial;
  const std::string good = read_text(certs() / "pair.pem");
  for (const std::string& bad : {std::string("-----BEGIN CERTIFICATE-----\nbroken"), std::string(),
                                 own_.issue_pem({"a.test"}, generate_p256_key())}) {
    const size_t before = site_.edge.count("configured_unusable");
    put_text("pair.pem", bad);
    EXPECT_TRUE(
        eventually([&] { return site_.edge.count("configured_unusable") > before; }, kLimit))
        << site_.edge.log();
    const Handshake handshake = visit("a.test");
    EXPECT_TRUE(handshake.verified) << handshake.error;
    EXPECT_EQ(handshake.serial, first);
    EXPECT_LE(site_.edge.count("configured_unusable"), before + 1);
  }
  put("pair", {"a.test"});
  EXPECT_TRUE(eventually([&] { return visit("a.test").serial != first; }, kLimit));
  EXPECT_TRUE(visit("a.test").verified);
  EXPECT_EQ(ca_.wishes().size(), 0u);
}

TEST_F(ConfiguredTest, AFolderIsFollowedAsPairsComeChangeAndGo) {
  std::filesystem::create_directories(certs());
  configure({EdgeSettings::folder_of(certs())});
  ASSERT_TRUE(site_.edge.start());
  put("one", {"one.test"});
  EXPECT_TRUE(eventually([&] { return site_.edge.count("configured_certificate") == 1; }, kLimit))
      << site_.edge.log();
  const std::string first = visit("one.test").serial;
  EXPECT_TRUE(visit("one.test").verified);
  put("two", {"two.test"});
  put("one", {"one.test", "more.test"});
  EXPECT_TRUE(eventually([&] { return site_.edge.count("configured_certificate") >= 3; }, kLimit))
      << site_.edge.log();
  EXPECT_TRUE(visit("two.test").verified);
  EXPECT_TRUE(visit("more.test").verified);
  EXPECT_NE(visit("one.test").serial, first);
  EXPECT_EQ(ca_.wishes().size(), 0u);
  // Taken away: from then on the name is like any other.
  std::filesystem::remove(certs() / "two.pem");
  std::filesystem::remove(certs() / "two.key");
  EXPECT_TRUE(eventually([&] { return site_.edge.count("configured_released") == 1; }, kLimit));
  EXPECT_TRUE(visit("two.test", false).verified);
  EXPECT_EQ(ca_.wishes().size(), 1u);
}

TEST_F(ConfiguredTest, AReloadTakesThemOver) {
  configure({put("one", {"a.test"})});
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(visit("a.test").verified);
  configure({put("two", {"b.test"})});
  EXPECT_EQ(site_.edge.reload(), "reloaded") << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return visit("b.test").verified; }, kLimit)) << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return visit("a.test", false).verified; }, kLimit));
}

TEST_F(ConfiguredTest, WhatCannotBeReadStopsNoStartButValidateSaysSo) {
  const std::string missing = EdgeSettings::files(certs() / "no.pem", certs() / "no.key");
  configure({missing, put("good", {"a.test"})});
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(visit("a.test").verified);
  EXPECT_TRUE(site_.edge.logged("no.pem")) << site_.edge.log();
  const auto judged =
      Edge::run(site_.edge.folder(), {"validate", "--config", site_.edge.config_file().string()});
  EXPECT_EQ(judged.code, 78) << judged.output;
  EXPECT_NE(judged.output.find("no.pem"), std::string::npos) << judged.output;
}

// Where a name has both, the old client gets the one that it can verify.
TEST_F(ConfiguredTest, AnRsaPairStandsBesideAnEcdsaOne) {
  const std::string modern = put("ecdsa", {"a.test"});
  const PrivateKey key = generate_rsa_key();
  put_text("rsa.key", private_key_pem(key));
  put_text("rsa.pem", own_.issue_pem({"a.test"}, key));
  configure({modern, EdgeSettings::files(certs() / "rsa.pem", certs() / "rsa.key")});
  ASSERT_TRUE(site_.edge.start());
  TlsOptions client = site_.tls("a.test");
  client.roots = own_.root_pem;
  client.only_tls12 = true;
  EXPECT_FALSE(TlsClient(client).handshake().rsa);
  client.only_rsa = true;
  const Handshake old = TlsClient(client).handshake();
  // The test CA itself signs with ECDSA: such a client cannot verify it, but is served.
  EXPECT_TRUE(old.done) << old.error;
  EXPECT_TRUE(old.rsa);
  EXPECT_EQ(ca_.wishes().size(), 0u);
}

}  // namespace
}  // namespace latchkey::test
