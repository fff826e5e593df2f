// Debian's `openssl ocsp` understands our requests, and we its answers.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "acme/ocsp.h"
#include "tests/support/ocsp_ca.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using test::OcspCa;
using test::OcspSigner;

class OcspOpensslTest : public testing::Test {
 protected:
  // What `openssl ocsp` answers; `status` as its index has it: "V", "R".
  std::string answer(const std::string& status, const std::string& reason = "",
                     const OcspSigner* delegate = nullptr,
                     const std::vector<std::string>& more = {"-ndays", "1"}) {
    const std::string revoked = status == "R" ? "260101000000Z" + reason : "";
    std::string serial = indexed_serial.empty() ? certificate->serial() : indexed_serial;
    std::transform(serial.begin(), serial.end(), serial.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    // status, end, revocation, serial, file, subject
    test::write_text(folder / "index.txt", status + "\t351231235959Z\t" + revoked + "\t" + serial +
                                               "\tunknown\t/CN=a.test\n");
    test::write_text(folder / "ca.pem", ca.certificate_pem());
    test::write_text(folder / "request.der", *make_ocsp_request(*certificate));
    test::write_text(folder / "signer.key",
                     private_key_pem((delegate != nullptr ? *delegate : ca.self()).key));
    test::write_text(folder / "signer.pem", ca.certificate_pem());
    if (delegate != nullptr) {
      test::write_text(folder / "signer.der", delegate->certificate);
      run({"openssl", "x509", "-inform", "DER", "-in", path("signer.der"), "-out",
           path("signer.pem")});
    }
    std::vector<std::string> args{"openssl",  "ocsp",
                                  "-index",   path("index.txt"),
                                  "-CA",      path("ca.pem"),
                                  "-rsigner", path("signer.pem"),
                                  "-rkey",    path("signer.key"),
                                  "-reqin",   path("request.der"),
                                  "-respout", path("answer.der")};
    args.insert(args.end(), more.begin(), more.end());
    run(std::move(args));
    return test::read_text(folder / "answer.der");
  }
  void run(std::vector<std::string> args) {
    test::Process::Options options;
    options.args = std::move(args);
    options.output = folder / "log";
    test::Process process(std::move(options));
    const auto exit = process.wait(Millis(20'000));
    ASSERT_TRUE(exit && exit->code == 0) << process.output();
  }
  std::string path(std::string_view name) const { return (folder / name).string(); }
  Result<OcspAnswer> judge(const std::string& der) const {
    return judge_ocsp_response(der, *certificate, TestCa::now());
  }

  const test::TempFolder folder;
  std::string indexed_serial;  // "": the certificate's
  OcspCa ca;
  CertificatePtr certificate = ca.issue({"a.test"}, "http://127.0.0.1/");
};

TEST_F(OcspOpensslTest, GoodIsGood) {
  const auto answered = judge(answer("V"));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->status, CertStatus::kGood);
  EXPECT_EQ(answered->next_update - answered->this_update, 24h);
}

TEST_F(OcspOpensslTest, GoodFromAnRsaKeyIsGood) {
  ca = OcspCa(generate_rsa_key(), "RSA CA");
  certificate = ca.issue({"a.test"}, "http://127.0.0.1/");
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"-ndays", "1"},
        {"-ndays", "1", "-resp_key_id"},
        {"-ndays", "1", "-rmd", "sha384"},
        {"-ndays", "1", "-rsigopt", "rsa_padding_mode:pss", "-rsigopt", "rsa_pss_saltlen:-1"}}) {
    const auto answered = judge(answer("V", "", nullptr, more));
    EXPECT_TRUE(answered) << more.back() << ": " << answered.error().message;
  }
}

TEST_F(OcspOpensslTest, ADelegateIsBelieved) {
  const OcspSigner delegate = ca.delegate({});
  const auto answered = judge(answer("V", "", &delegate));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->status, CertStatus::kGood);
}

TEST_F(OcspOpensslTest, RevocationsAreUnderstood) {
  for (const std::string reason : {"keyCompromise", "superseded", "cessationOfOperation"}) {
    const auto answered = judge(answer("R", "," + reason));
    ASSERT_TRUE(answered) << answered.error().message;
    EXPECT_EQ(answered->status, CertStatus::kRevoked);
    EXPECT_EQ(answered->reason, reason);
  }
  const auto answered = judge(answer("R"));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->reason, "unspecified");
}

TEST_F(OcspOpensslTest, WithoutAnEndItIsGoodForADay) {
  const auto answered = judge(answer("V", "", nullptr, {}));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->next_update - answered->this_update, 24h);
}

TEST_F(OcspOpensslTest, AnotherCertificatesAnswerIsRefused) {
  const std::string der = answer("V");
  certificate = ca.issue({"b.test"}, "http://127.0.0.1/");
  EXPECT_FALSE(judge(der));
}

TEST_F(OcspOpensslTest, WhatItHasNotIssuedIsUnknown) {
  indexed_serial = "4142434445";
  const auto answered = judge(answer("V"));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->status, CertStatus::kUnknown);
}

}  // namespace
}  // namespace latchkey::acme
