// A browser arrives with an unknown name and leaves with its page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using ::testing::ElementsAre;

Site::Options with_sleeps() {
  Site::Options options;
  options.sleeps = true;
  return options;
}

std::string challenge_of_the_last_certificate(const Edge& edge) {
  const auto events = edge.events("certificate_obtained");
  return events.empty() ? "" : std::string(events.back().text_of("challenge"));
}

TEST(FirstVisitTest, LeavesWithThePageAndLaterVisitsTakeNoOrder) {
  Site site(with_sleeps());
  ASSERT_TRUE(site.edge.start());
  const auto first = site.visit("shop.test", "/welcome?x=1");
  ASSERT_TRUE(first.handshake.verified) << first.handshake.error;
  EXPECT_EQ(first.answer.status, 200);
  EXPECT_EQ(first.answer.body, "page of shop.test /welcome?x=1");

  const auto second = site.visit("shop.test");
  EXPECT_TRUE(second.handshake.verified);
  EXPECT_EQ(second.handshake.serial, first.handshake.serial);
  EXPECT_EQ(site.pebble->orders(), 1u);

  EXPECT_TRUE(site.edge.terminate());
  EXPECT_EQ(site.edge.final_count("orders"), 1);
  EXPECT_GE(site.edge.final_count("tls_alpn_01_answers"), 1);  // the CA did look
  EXPECT_THAT(StoreFile(site.database()).names(), ElementsAre("shop.test"));
  ASSERT_TRUE(site.edge.start());
  const auto third = site.visit("shop.test");
  EXPECT_TRUE(third.handshake.verified);
  EXPECT_EQ(third.handshake.serial, first.handshake.serial);
  EXPECT_EQ(third.answer.body, "page of shop.test /");
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(FirstVisitTest, TheSpellingOfANameDoesNotMatter) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  const auto first = site.visit("Shop.TEST");
  ASSERT_TRUE(first.handshake.verified) << first.handshake.error;
  EXPECT_EQ(site.visit("shop.test").handshake.serial, first.handshake.serial);
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(FirstVisitTest, TheAccountIsKeptAcrossRestarts) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("one.test").handshake.verified);
  ASSERT_TRUE(site.edge.terminate());
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("two.test").handshake.verified);
  EXPECT_EQ(site.pebble->accounts(), 1u);
}

TEST(FirstVisitTest, ACaThatForgotTheAccountGetsANewOne) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("one.test").handshake.verified);
  site.pebble->start();
  const auto visit = site.visit("two.test");
  EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_EQ(site.pebble->accounts(), 1u);
}

class ChallengeTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ChallengeTest, IsEnoughAlone) {
  Site site(with_sleeps());
  site.edge.settings.challenges = {GetParam()};
  ASSERT_TRUE(site.edge.start());
  const auto visit = site.visit("alone.test");
  ASSERT_TRUE(visit.handshake.verified) << visit.handshake.error;
  EXPECT_EQ(challenge_of_the_last_certificate(site.edge), GetParam());
  EXPECT_EQ(site.pebble->orders(), 1u);
  EXPECT_TRUE(site.edge.terminate());
  const bool http = GetParam() == "http-01";
  const int64_t used = site.edge.final_count(http ? "http_01_answers" : "tls_alpn_01_answers");
  const int64_t unused = site.edge.final_count(http ? "tls_alpn_01_answers" : "http_01_answers");
  EXPECT_GE(used, 1);
  EXPECT_EQ(unused, 0);
}

TEST_P(ChallengeTest, IsReplacedByTheOtherWhenItFails) {
  const ReservedPort elsewhere;  // refuses
  const std::string bad = GetParam();
  const std::string good = bad == "http-01" ? "tls-alpn-01" : "http-01";
  Site::Options options;
  (bad == "http-01" ? options.pebble_http_port : options.pebble_tls_port) = elsewhere.number();
  Site site(options);
  site.edge.settings.challenges = {bad, good};
  ASSERT_TRUE(site.edge.start());
  const auto first = site.visit("fallback.test");
  ASSERT_TRUE(first.handshake.verified) << first.handshake.error;
  EXPECT_EQ(challenge_of_the_last_certificate(site.edge), good);
  EXPECT_EQ(site.pebble->orders(), 2u);
  EXPECT_EQ(site.pebble->failed_validations(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Both, ChallengeTest, ::testing::Values("tls-alpn-01", "http-01"),
                         [](const auto& test) {
                           return std::string(test.param == "http-01" ? "Http" : "TlsAlpn");
                         });

TEST(FirstVisitTest, TenNamesAtOnceAllSucceedInSpiteOfBadNoncesAndSleeps) {
  Site site(with_sleeps());
  // One in 300 or so has so many nonces rejected that its 20 requests are not enough for 25 s.
  site.edge.settings.park_timeout = "40s";
  ASSERT_TRUE(site.edge.start());
  const auto handshakes =
      site.swarm(10, [](size_t i) { return "ten" + std::to_string(i) + ".test"; });
  std::set<std::string> serials;
  for (const auto& handshake : handshakes) {
    EXPECT_TRUE(handshake.verified) << handshake.error;
    serials.insert(handshake.serial);
  }
  EXPECT_EQ(serials.size(), 10u);
  EXPECT_EQ(site.pebble->orders(), 10u);
}

TEST(FirstVisitTest, ThriceAsManyBadNoncesAreNoReasonToFail) {
  Site::Options options;
  options.pebble_env = {{"PEBBLE_WFE_NONCEREJECT", "15"}};
  Site site(options);
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    const auto visit = site.visit(name);
    EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
  }
}

TEST(FirstVisitTest, WithoutSniNothingIsAskedOrOrdered) {
  Site site;
  site.edge.settings.allow = {};
  site.edge.settings.ask = site.ask_url();
  ASSERT_TRUE(site.edge.start());
  TlsOptions options = site.tls("");
  const TlsClient client(options);
  EXPECT_FALSE(client.handshake().done);
  EXPECT_EQ(client.handshake().alert, alert::kUnrecognizedName);
  EXPECT_EQ(site.ask.requests(), 0u);
  EXPECT_EQ(site.pebble->orders(), 0u);
}

TEST(FirstVisitTest, OldClientsAndThoseWithAlpnAreServed) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  TlsOptions options = site.tls("a.test");
  options.only_tls12 = true;
  EXPECT_TRUE(TlsClient(options).handshake().verified);
  options.only_tls12 = false;
  for (const char* preferred : {"h2", "http/1.1"}) {
    options.alpn = {"something/9", preferred};
    const TlsClient client(options);
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
    EXPECT_EQ(client.handshake().alpn, preferred);
  }
  options.alpn = {"http/1.1", "h2"};
  EXPECT_EQ(TlsClient(options).handshake().alpn, "h2") << "ours goes first";
}

TEST(FirstVisitTest, AnIssuanceGoesOnWhenItsVisitorLeaves) {
  Site::Options options;
  options.sleeps = true;
  options.pebble_env = {{"PEBBLE_VA_SLEEPTIME", "3"}};
  Site site(options);
  ASSERT_TRUE(site.edge.start());
  TlsOptions hasty = site.tls("left.test");
  hasty.limit = Millis(20);
  EXPECT_FALSE(TlsClient(hasty).handshake().done);
  ASSERT_TRUE(site.edge.wait_for("certificate_obtained"));
  const auto visit = site.visit("left.test");
  EXPECT_TRUE(visit.handshake.verified);
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(FirstVisitTest, SecretsAreNeitherLoggedNorStoredInTheClear) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  EXPECT_TRUE(site.visit("secret.test").handshake.verified);
  EXPECT_TRUE(site.edge.terminate());
  EXPECT_FALSE(site.edge.logged("PRIVATE KEY"));
  EXPECT_FALSE(StoreFile(site.database()).contains("PRIVATE KEY"));
  // The algorithm identifier of a P-256 key in PKCS#8, followed by its private part.
  const std::string pkcs8(
      "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
      "\x3d\x03\x01\x07\x04",
      22);
  EXPECT_FALSE(StoreFile(site.database()).contains(pkcs8));
}

}  // namespace
}  // namespace latchkey::test
