// Responders over HTTP: one that does what a test says, and Debian's openssl.

#include "edge/ocsp_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "tests/support/ocsp_responder.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using test::OcspCa;
using test::OcspMode;
using test::OcspResponder;
using testing::HasSubstr;

class OcspSourceTest : public testing::Test {
 protected:
  Result<StapleAnswer> fetch() { return loop.finish(source.fetch(certificate)); }
  Result<StapleAnswer> fetch(OcspMode mode) {
    responder.set_mode(mode);
    return fetch();
  }
  void expect_error(OcspMode mode, ErrorCode code, const std::string& why) {
    const auto answer = fetch(mode);
    ASSERT_FALSE(answer) << why;
    EXPECT_EQ(answer.error().code, code) << answer.error().message;
    EXPECT_THAT(answer.error().message, HasSubstr(why));
    EXPECT_THAT(answer.error().message, HasSubstr("127.0.0.1"));
  }

  test::TestLoop loop;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  const OcspCa ca;
  OcspResponder responder{ca};
  CertificatePtr certificate = ca.issue({"a.test"}, responder.url());
  OcspSource source{loop.loop(), log};
};

TEST_F(OcspSourceTest, AGoodAnswerIsAStaple) {
  const auto answer = fetch();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, StapleAnswer::Status::kGood);
  ASSERT_NE(answer->staple, nullptr);
  EXPECT_EQ(answer->staple->next_update - answer->staple->this_update, 1h);
  EXPECT_FALSE(answer->staple->der.empty());
  ASSERT_EQ(responder.seen().size(), 1u);
  EXPECT_EQ(responder.seen().front().method, "GET");
}

TEST_F(OcspSourceTest, WhatIsTooLongForGetIsPosted) {
  certificate = ca.issue({"a.test"}, responder.url() + "/" + std::string(200, 'x'));
  const auto answer = fetch();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(responder.seen().front().method, "POST");
  EXPECT_EQ(responder.seen().front().header("content-type"), "application/ocsp-request");
}

TEST_F(OcspSourceTest, AResponderWithoutGetIsPostedTo) {
  test::HttpServer strict([this](const test::Request& request) {
    test::Response response;
    if (request.method == "GET") {
      response.status = 405;
    } else {
      test::OcspForm form;
      test::OcspSingle single;
      single.cert_id = test::cert_id_of_request(request.body);
      single.this_update = form.produced_at =
          std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
      single.next_update = single.this_update + 1h;
      form.singles.push_back(single);
      response.body = make_ocsp_answer(form, ca.self());
    }
    return response;
  });
  certificate = ca.issue({"a.test"}, strict.url("/"));
  const auto answer = fetch();
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(strict.requests(), 2u);
}

TEST_F(OcspSourceTest, ADelegatesAnswerIsAStaple) {
  EXPECT_TRUE(fetch(OcspMode::kGoodByDelegate));
}

TEST_F(OcspSourceTest, ARevocationHasItsReason) {
  responder.set_reason(1);
  const auto answer = fetch(OcspMode::kRevoked);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, StapleAnswer::Status::kRevoked);
  EXPECT_EQ(answer->reason, "keyCompromise");
  EXPECT_EQ(answer->staple, nullptr);
}

TEST_F(OcspSourceTest, BadAnswersSayWhatIsWrong) {
  expect_error(OcspMode::kUnknown, ErrorCode::kNotFound, "does not know");
  expect_error(OcspMode::kUnauthorized, ErrorCode::kNotFound, "unauthorized");
  expect_error(OcspMode::kTryLater, ErrorCode::kThrottled, "try later");
  expect_error(OcspMode::kServerError, ErrorCode::kThrottled, "500");
  expect_error(OcspMode::kMalformed, ErrorCode::kProtocol, "malformed");
  expect_error(OcspMode::kTruncated, ErrorCode::kProtocol, "malformed");
  expect_error(OcspMode::kWrongSerial, ErrorCode::kProtocol, "not about this certificate");
  expect_error(OcspMode::kExpired, ErrorCode::kProtocol, "expired");
  expect_error(OcspMode::kFuture, ErrorCode::kProtocol, "future");
  expect_error(OcspMode::kUnauthorizedDelegate, ErrorCode::kProtocol, "id-kp-OCSPSigning");
  expect_error(OcspMode::kStranger, ErrorCode::kProtocol, "not accepted");
  expect_error(OcspMode::kReset, ErrorCode::kIo, "");
}

TEST_F(OcspSourceTest, ARedirectIsNotFollowed) {
  test::HttpServer elsewhere([this](const test::Request&) {
    test::Response response;
    response.status = 302;
    response.headers.emplace_back("Location", responder.url());
    return response;
  });
  certificate = ca.issue({"a.test"}, elsewhere.url("/"));
  const auto answer = fetch();
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("302"));
  EXPECT_EQ(responder.requests(), 0u);
}

TEST_F(OcspSourceTest, AnEndlessAnswerIsCutOff) {
  test::HttpServer endless([](const test::Request&) {
    test::Response response;
    response.endless = true;
    return response;
  });
  certificate = ca.issue({"a.test"}, endless.url("/"));
  const auto answer = fetch();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kProtocol);
}

TEST_F(OcspSourceTest, ADroppedQuestionIsWithdrawn) {
  responder.set_mode(OcspMode::kHang);
  {
    Task<StapleAnswer> asking = source.fetch(certificate);
    asking.start();
    loop.run_until([this] { return responder.requests() > 0; });
  }
  EXPECT_TRUE(fetch(OcspMode::kGood));
}

TEST_F(OcspSourceTest, DebiansOpensslIsARealResponder) {
  const test::TempFolder folder;
  const test::ReservedPort port(test::ReservedPort::Hold::kFree);
  const std::string number = std::to_string(port.number());
  certificate = ca.issue({"a.test"}, "http://127.0.0.1:" + number);
  std::string serial = certificate->serial();
  std::transform(serial.begin(), serial.end(), serial.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  test::write_text(folder / "index.txt",
                   "V\t351231235959Z\t\t" + serial + "\tunknown\t/CN=a.test\n");
  test::write_text(folder / "ca.pem", ca.certificate_pem());
  test::write_text(folder / "ca.key", private_key_pem(ca.self().key));
  test::Process::Options options;
  options.args = {"openssl",  "ocsp",
                  "-port",    number,
                  "-index",   (folder / "index.txt").string(),
                  "-CA",      (folder / "ca.pem").string(),
                  "-rsigner", (folder / "ca.pem").string(),
                  "-rkey",    (folder / "ca.key").string(),
                  "-ndays",   "2"};
  options.output = folder / "log";
  test::Process openssl(std::move(options));
  ASSERT_TRUE(openssl.wait_for_line("waiting for OCSP client connections", Millis(20'000)))
      << openssl.output();
  const auto answer = fetch();
  ASSERT_TRUE(answer) << answer.error().message << openssl.output();
  EXPECT_EQ(answer->staple->next_update - answer->staple->this_update, 48h);
}

}  // namespace
}  // namespace latchkey::edge
