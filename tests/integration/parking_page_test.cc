// Certificates for handshakes that have none of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

class ParkingPageTest : public ::testing::Test {
 protected:
  ParkingPageTest() : site_(without_pebble()) {
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.parking_certificate = R"("self_signed")";
    site_.edge.settings.park_timeout = "1s";
    site_.judge.judge_by([](const std::string& name) {
      Response response;
      if (name.starts_with("denied")) response.status = 403;
      return response;
    });
  }
  // Writes a certificate for `name` and its key; for settings.
  std::string files_for(const std::string& name) {
    const auto certificate = own_ca_.issue({name});
    const auto cert_file = site_.folder / (name + ".pem");
    const auto key_file = site_.folder / (name + ".key");
    write_text(cert_file, own_ca_.issue_pem({name}, certificate->key()));
    write_text(key_file, private_key_pem(certificate->key()));
    std::filesystem::permissions(key_file, std::filesystem::perms::owner_read);
    return EdgeSettings::files(cert_file, key_file);
  }

  ScriptedCa ca_;
  const TestCa own_ca_{"Own"};
  AskSite site_;
};

TEST_F(ParkingPageTest, TellsADeniedNameFromOneThatFailedAndOneThatIsPending) {
  ASSERT_TRUE(site_.edge.start());
  const auto denied = site_.visit("denied.test");
  ASSERT_TRUE(denied.handshake.done) << denied.handshake.error;
  EXPECT_FALSE(denied.handshake.verified);
  EXPECT_EQ(denied.answer.status, 404);
  EXPECT_THAT(denied.answer.header("content-type"), HasSubstr("text/html"));
  EXPECT_THAT(denied.answer.header("cache-control"), HasSubstr("no-store"));

  Response trouble;
  trouble.status = 500;
  ca_.misbehave("/newOrder", trouble);
  const auto failed = site_.visit("failed.test");
  ASSERT_TRUE(failed.handshake.done) << failed.handshake.error;
  EXPECT_EQ(failed.answer.status, 503);
  EXPECT_FALSE(failed.answer.header("retry-after").empty());

  Response hang;
  hang.hang = true;
  ca_.behave();
  site_.judge.judge_by(AskServer::allow_all());
  ca_.misbehave("/certificate", hang);
  const auto pending = site_.visit("pending.test");
  ASSERT_TRUE(pending.handshake.done) << pending.handshake.error;
  EXPECT_EQ(pending.answer.status, 503);
  EXPECT_FALSE(pending.answer.header("retry-after").empty());
  EXPECT_NE(pending.answer.body, failed.answer.body);
  EXPECT_EQ(site_.upstream.requests(), 0u);
}

TEST_F(ParkingPageTest, AConfiguredOneIsUsedAndARealOneFollows) {
  site_.edge.settings.parking_certificate = files_for("parked.test");
  site_.edge.settings.ask_negative_ttl = "1s";
  ASSERT_TRUE(site_.edge.start());
  TlsOptions options = site_.tls("denied.test");
  options.name = "parked.test";
  options.roots = own_ca_.root_pem;
  EXPECT_TRUE(TlsClient(options).handshake().verified);
  site_.judge.judge_by(AskServer::allow_all());
  options.name = "denied.test";
  options.roots = ca_.roots();
  EXPECT_TRUE(eventually([&] { return TlsClient(options).handshake().verified; }));
}

// A ticket of a parked handshake must not bring the parking page back once there is more.
TEST_F(ParkingPageTest, IsNotResumed) {
  site_.edge.settings.ask_negative_ttl = "1s";
  ASSERT_TRUE(site_.edge.start());
  TlsOptions options = site_.tls("denied.test");
  options.roots = ca_.roots();
  TlsClient first(options);
  EXPECT_EQ(HttpConversation(first).get("denied.test").status, 404);
  options.session = first.session();
  site_.judge.judge_by(AskServer::allow_all());
  ASSERT_TRUE(eventually([&] { return site_.visit("denied.test").answer.status == 200; }));
  if (options.session == nullptr) return;  // there was no ticket at all
  TlsClient second(options);
  EXPECT_FALSE(second.handshake().resumed);
  EXPECT_EQ(HttpConversation(second).get("denied.test").status, 200);
}

TEST_F(ParkingPageTest, WithoutOneItIsAnAlert) {
  site_.edge.settings.parking_certificate = "";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.alert_for("denied.test"), alert::kUnrecognizedName);
}

TEST_F(ParkingPageTest, WithoutSniTheDefaultCertificateIsServed) {
  site_.edge.settings.default_certificate = files_for("default.test");
  ASSERT_TRUE(site_.edge.start());
  TlsOptions options = site_.tls("");
  options.name = "default.test";
  options.roots = own_ca_.root_pem;
  TlsClient client(options);
  EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
  EXPECT_EQ(HttpConversation(client).get("default.test").status, 200);
  EXPECT_EQ(site_.judge.asked(), 0u);
  EXPECT_EQ(ca_.requests("/newOrder"), 0u);
}

TEST_F(ParkingPageTest, FilesThatAreNotThereAreNamedAndStopNoStart) {
  site_.edge.settings.default_certificate = EdgeSettings::files("/nowhere/a.pem", "/nowhere/a.key");
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.edge.logged("fallback_unusable", "/nowhere/a.pem"));
  EXPECT_EQ(site_.connect("").handshake().alert, alert::kUnrecognizedName);
  EXPECT_EQ(site_.visit("denied.test").answer.status, 404);  // the other one counts
  const auto verdict =
      Edge::run(site_.folder.path(), {"validate", "--config", site_.edge.config_file().string()});
  EXPECT_EQ(verdict.code, 78) << verdict.output;
  EXPECT_EQ(site_.edge.command({"reload"}).code, 78);
  site_.edge.settings.default_certificate = files_for("default.test");
  ASSERT_EQ(site_.edge.reload(), "reloaded");
  EXPECT_TRUE(site_.connect("").handshake().done);
}

}  // namespace
}  // namespace latchkey::test
