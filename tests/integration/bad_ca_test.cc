// A CA that answers wrongly at each step of an order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "acme/base64url.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback_certificate.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

// An ACME CA without cryptography whose every order goes well up to the certificate, which is
// another server's. One step at a time can be made to go wrong.
class ScriptedCa {
 public:
  ScriptedCa() : server_([this](const Request& request) { return answer(request); }) {}

  std::string directory() const { return server_.url("/directory"); }
  const HttpServer& server() const { return server_; }
  // `path`: where the step is answered.
  void misbehave(std::string path, Response response) {
    const std::lock_guard lock(mutex_);
    bad_path_ = std::move(path);
    bad_response_ = std::move(response);
  }

 private:
  Response answer(const Request& request) {
    {
      const std::lock_guard lock(mutex_);
      if (request.path == bad_path_) return bad_response_;
    }
    Response response;
    response.headers = {{"Replay-Nonce", "n" + std::to_string(++nonces_)},
                        {"Content-Type", "application/json"}};
    if (request.path == "/directory") {
      JsonObject object;
      for (const char* key : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
        object.text(key, server_.url("/" + std::string(key)));
      }
      response.body = object.str();
    } else if (request.path == "/newAccount") {
      response.status = 201;
      response.headers.emplace_back("Location", server_.url("/account"));
      response.body = R"({"status":"valid"})";
    } else if (request.path == "/newOrder") {
      remember_name(request);
      response.status = 201;
      response.headers.emplace_back("Location", server_.url("/order"));
      response.body = order("pending");
      finalized_ = false;
    } else if (request.path == "/authorization") {
      response.body = JsonObject()
                          .text("status", "valid")
                          .raw("identifier", identifier())
                          .raw("challenges", "[]")
                          .str();
    } else if (request.path == "/order") {
      response.body = order(finalized_ ? "valid" : "ready");
    } else if (request.path == "/finalize") {
      finalized_ = true;
      response.body = order("processing");
    } else if (request.path == "/certificate") {
      response.body = certificate_.certificate;
    } else if (request.path != "/newNonce") {
      response.status = 404;
    }
    return response;
  }

  void remember_name(const Request& request) {
    const auto jws = parse_json(request.body);
    const auto payload = acme::base64url_decode(jws ? jws->text_of("payload") : "");
    const auto json = parse_json(payload ? *payload : "");
    const JsonValue* list = json ? json->find("identifiers") : nullptr;
    if (list != nullptr && !list->items.empty()) name_ = list->items[0].text_of("value");
  }
  std::string identifier() const {
    return JsonObject().text("type", "dns").text("value", name_).str();
  }
  std::string order(std::string_view status) const {
    return JsonObject()
        .text("status", status)
        .raw("identifiers", "[" + identifier() + "]")
        .raw("authorizations", "[" + json_quote(server_.url("/authorization")) + "]")
        .text("finalize", server_.url("/finalize"))
        .text("certificate", server_.url("/certificate"))
        .str();
  }

  const PemPair certificate_ = make_loopback_certificate();
  std::string name_;  // that the newest order is for
  bool finalized_ = false;
  int nonces_ = 0;
  std::mutex mutex_;
  std::string bad_path_;   // guarded by mutex_
  Response bad_response_;  // guarded by mutex_
  HttpServer server_;      // the last: its thread uses all of the above
};

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
  BadCaTest() : site_(without_pebble()) {
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
