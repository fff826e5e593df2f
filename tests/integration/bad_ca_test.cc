// A CA that answers wrongly at each step of an order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/loopback_certificate.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using WrongAnswers = std::vector<std::pair<std::string, Response>>;

WrongAnswers wrong_answers(const std::string& elsewhere) {
  WrongAnswers all;
  const auto add = [&](const char* what) -> Response& {
    all.emplace_back(what, Response());
    Response& response = all.back().second;
    response.headers = {{"Replay-Nonce", "wrong"}, {"Location", elsewhere}};
    return response;
  };
  add("nothing");
  add("an error").status = 500;
  add("a redirect").status = 302;
  add("garbage").body = "}{ \xff\xfe";
  add("wrong types").body =
      R"({"newNonce":1,"newAccount":[],"newOrder":{},"status":7,"authorizations":"x",)"
      R"("challenges":{},"finalize":null,"certificate":false,"identifiers":3})";
  add("URLs elsewhere").body =
      R"({"newNonce":"file:///etc/passwd","newAccount":"gopher://x/","newOrder":"http://192.0.2.1/",)"
      R"("status":"valid","authorizations":["http://192.0.2.1/"],"finalize":"ftp://x/",)"
      R"("certificate":"http://192.0.2.1/"})";
  add("deep nesting").body = std::string(100'000, '[');
  add("too much").body = R"({"x":")" + std::string(5u << 20, 'x') + "\"}";
  add("an endless body").endless = true;
  Response& cut = add("a truncated body");
  cut.body = R"({"status":"valid","newNonce":")" + std::string(1000, 'x');
  cut.cut_after = 300;
  add("a reset").reset = true;
  add("no HTTP").raw = "220 smtp.test ESMTP\r\n\r\n";
  add("nothing at all").hang = true;
  return all;
}

class BadCaTest : public ::testing::TestWithParam<std::string> {
 protected:
  // Every order goes well up to the certificate, which is another server's; one step at a time is
  // made to go wrong.
  BadCaTest() : site_(without_pebble()) {
    ca_.hand_out(make_loopback_certificate().certificate);
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.park_timeout = "2s";
  }

  static Site::Options without_pebble() {
    Site::Options options;
    options.pebble = false;
    return options;
  }
  // Every visitor is told that it failed for now, within the time that he may wait.
  void expect_failure(const std::string& name, const std::string& what) {
    const Stopwatch time;
    const TlsClient client = site_.connect(name);
    EXPECT_FALSE(client.handshake().done) << what;
    EXPECT_EQ(client.handshake().alert, alert::kInternalError) << what;
    EXPECT_LT(time.elapsed(), Millis(10'000)) << what;
    ASSERT_TRUE(site_.edge.running()) << what;
  }
  void TearDown() override {
    EXPECT_EQ(ca_.server().requests("/elsewhere"), 0u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(site_.edge.process().peak_resident_bytes(), 100u << 20);
#endif
    EXPECT_TRUE(site_.edge.terminate());
    EXPECT_EQ(StoreFile(site_.database()).certificates(), 0u);
  }

  ScriptedCa ca_;
  Site site_;
};

TEST_P(BadCaTest, IsSurvivedAndExplained) {
  ASSERT_TRUE(site_.edge.start());
  int number = 0;
  for (const auto& [what, response] : wrong_answers(ca_.server().url("/elsewhere"))) {
    ca_.misbehave(GetParam(), response);
    expect_failure("n" + std::to_string(++number) + ".test", what);
  }
  EXPECT_GE(site_.edge.count("issuance_failed"), 5u);
}

INSTANTIATE_TEST_SUITE_P(At, BadCaTest,
                         ::testing::Values("/directory", "/newNonce", "/newAccount", "/newOrder",
                                           "/authorization", "/finalize", "/order", "/certificate"),
                         [](const auto& test) { return test.param.substr(1); });

class WrongCertificateTest : public BadCaTest {};

TEST_F(WrongCertificateTest, IsNeitherStoredNorServed) {
  ASSERT_TRUE(site_.edge.start());
  expect_failure("a.test", "another server's certificate");
  EXPECT_EQ(ca_.server().requests("/certificate"), 1u);
  EXPECT_TRUE(site_.edge.logged("issuance_failed", "a.test"));
}

TEST_F(WrongCertificateTest, ACaThatIsDownIsNamed) {
  const ReservedPort refuses;
  site_.edge.settings.directory = "http://127.0.0.1:" + std::to_string(refuses.number()) + "/dir";
  ASSERT_TRUE(site_.edge.start());
  expect_failure("a.test", "a CA that is down");
  EXPECT_TRUE(site_.edge.logged("issuance_failed", std::to_string(refuses.number())));
}

TEST_F(WrongCertificateTest, APublicCaIsLeftAloneWhereTestsForbidIt) {
  site_.edge.settings.directory = "https://acme-v02.api.letsencrypt.org/directory";
  ASSERT_TRUE(site_.edge.start());  // the harness sets LATCHKEY_NO_PUBLIC_CA
  expect_failure("a.test", "a public CA");
  EXPECT_TRUE(site_.edge.logged("issuance_failed", "LATCHKEY_NO_PUBLIC_CA"));
}

// The failure is remembered: a name is no means to make us ask the CA again and again.
TEST_F(WrongCertificateTest, AFailedNameIsNotTriedAgainAtOnce) {
  ASSERT_TRUE(site_.edge.start());
  for (int i = 0; i < 5; ++i) expect_failure("a.test", "again");
  EXPECT_EQ(ca_.server().requests("/newOrder"), 1u);
}

}  // namespace
}  // namespace latchkey::test
