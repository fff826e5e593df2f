// What is asked, and what is believed of the answers; these are made by hand, so that each can be
// wrong in its own way. Those of a real responder: ocsp_openssl_test.cc.

#include "acme/ocsp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acme/ocsp_judge.h"
#include "tests/support/ocsp_ca.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using test::make_ocsp_answer;
using test::OcspCa;
using test::OcspForm;
using test::OcspSigner;
using test::OcspSingle;
using testing::HasSubstr;

constexpr std::string_view kResponder = "http://ocsp.test/r";

class OcspTest : public testing::Test {
 protected:
  OcspSingle single(OcspSingle::Status status = OcspSingle::Status::kGood) const {
    OcspSingle made;
    made.cert_id = ca.cert_id(*certificate);
    made.status = status;
    made.this_update = now - 1h;
    made.next_update = now + 24h;
    return made;
  }
  OcspForm form(OcspSingle one) const {
    OcspForm made;
    made.produced_at = now;
    made.singles.push_back(std::move(one));
    return made;
  }
  OcspForm good() const { return form(single()); }
  Result<OcspAnswer> judge(std::string_view der) const {
    return judge_ocsp_response(der, *certificate, now);
  }
  Result<OcspAnswer> judge(const OcspForm& made, const OcspSigner& signer) const {
    return judge(make_ocsp_answer(made, signer));
  }
  Result<OcspAnswer> judge(const OcspForm& made) const { return judge(made, ca.self()); }
  // By a delegate, whose certificate is attached.
  Result<OcspAnswer> judge_by(const OcspSigner& delegate) const {
    OcspForm made = good();
    made.attached.push_back(delegate.certificate);
    return judge(made, delegate);
  }
  static void expect_refused(const Result<OcspAnswer>& answer, std::string_view why) {
    ASSERT_FALSE(answer.has_value()) << "expected a refusal: " << why;
    EXPECT_EQ(answer.error().code, ErrorCode::kProtocol);
    EXPECT_THAT(answer.error().message, HasSubstr(std::string(why)));
  }

  const WallTime now = TestCa::now();
  const OcspCa ca;
  const CertificatePtr certificate = ca.issue({"a.test"}, kResponder);
};

// --- the request

TEST_F(OcspTest, TheRequestNamesTheCertificateBySha1) {
  const auto request = make_ocsp_request(*certificate);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(test::cert_id_of_request(*request), ca.cert_id(*certificate));
  EXPECT_LT(request->size(), 100u);
}

TEST_F(OcspTest, WithoutItsIssuerACertificateCannotBeAskedAbout) {
  const std::vector<std::string> alone{certificate->chain_der().front()};
  const auto bare = Certificate::from_der(alone, certificate->key());
  ASSERT_TRUE(bare);
  const auto request = make_ocsp_request(**bare);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(judge_ocsp_response("", **bare, now));
}

TEST_F(OcspTest, AChainInTheWrongOrderIsSaidToBe) {
  const OcspCa other(generate_p256_key(), "Somebody Else");
  const std::vector<std::string> wrong{certificate->chain_der().front(), other.self().certificate};
  const auto odd = Certificate::from_der(wrong, certificate->key());
  ASSERT_TRUE(odd);
  const auto request = make_ocsp_request(**odd);
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("in order"));
}

TEST_F(OcspTest, AShortRequestFitsIntoAUrl) {
  const std::string bytes = "\xfb\xff\xfe\x01";
  EXPECT_EQ(ocsp_get_url("http://ocsp.test", bytes), "http://ocsp.test/%2B%2F%2F%2BAQ%3D%3D");
  EXPECT_EQ(ocsp_get_url("http://ocsp.test/", bytes), "http://ocsp.test/%2B%2F%2F%2BAQ%3D%3D");
  EXPECT_TRUE(ocsp_get_url(kResponder, *make_ocsp_request(*certificate)));
}

TEST_F(OcspTest, WhatDoesNotFitIntoAUrlIsPosted) {
  const std::string long_host = "http://" + std::string(200, 'o') + ".test/";
  EXPECT_FALSE(ocsp_get_url(long_host, *make_ocsp_request(*certificate)));
  EXPECT_FALSE(ocsp_get_url("http://ocsp.test/?ca=1", "x"));
  EXPECT_FALSE(ocsp_get_url("http://ocsp.test/#ca", "x"));
}

// --- what is believed

TEST_F(OcspTest, AGoodWordIsBelievedUntilItEnds) {
  const auto answer = judge(good());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, CertStatus::kGood);
  EXPECT_EQ(answer->this_update, now - 1h);
  EXPECT_EQ(answer->next_update, now + 24h);
}

TEST_F(OcspTest, WithoutAnEndItIsGoodForADay) {
  OcspSingle open = single();
  open.next_update.reset();
  const auto answer = judge(form(open));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->next_update, now - 1h + 24h);
  open.this_update = now - 25h;
  expect_refused(judge(form(open)), "expired");
}

TEST_F(OcspTest, TheResponderMayBeNamed) {
  OcspForm named = good();
  named.by_name = true;
  EXPECT_TRUE(judge(named));
}

TEST_F(OcspTest, TheCertIdMayBeOfSha256) {
  OcspSingle sha256 = single();
  sha256.cert_id = ca.cert_id(*certificate, true);
  EXPECT_TRUE(judge(form(sha256)));
}

TEST_F(OcspTest, RsaSignaturesAreVerifiedInBothForms) {
  const OcspCa rsa(generate_rsa_key(), "RSA");
  const CertificatePtr leaf = rsa.issue({"a.test"}, kResponder);
  OcspSingle one = single();
  one.cert_id = rsa.cert_id(*leaf);
  for (const bool pss : {false, true}) {
    OcspForm made = form(one);
    made.pss = pss;
    std::string der = make_ocsp_answer(made, rsa.self());
    const auto answer = judge_ocsp_response(der, *leaf, now);
    EXPECT_TRUE(answer) << (pss ? "PSS: " : "PKCS#1: ") << answer.error().message;
    der.back() = static_cast<char>(der.back() ^ 1);
    expect_refused(judge_ocsp_response(der, *leaf, now), "signature");
  }
}

TEST_F(OcspTest, ADelegateOfTheIssuerIsBelieved) {
  const auto answer = judge_by(ca.delegate({}));
  ASSERT_TRUE(answer) << answer.error().message;
  OcspForm named = good();
  const OcspSigner delegate = ca.delegate({});
  named.by_name = true;
  named.attached = {OcspCa().self().certificate, delegate.certificate};
  EXPECT_TRUE(judge(named, delegate));
}

TEST_F(OcspTest, ARevocationComesWithItsReason) {
  const std::vector<std::pair<std::optional<int>, std::string>> reasons{
      {std::nullopt, "unspecified"},
      {0, "unspecified"},
      {1, "keyCompromise"},
      {2, "cACompromise"},
      {3, "affiliationChanged"},
      {4, "superseded"},
      {5, "cessationOfOperation"},
      {6, "certificateHold"},
      {8, "removeFromCRL"},
      {9, "privilegeWithdrawn"},
      {10, "aACompromise"},
      {7, "unspecified"},
      {99, "unspecified"}};
  for (const auto& [number, word] : reasons) {
    OcspSingle revoked = single(OcspSingle::Status::kRevoked);
    revoked.revoked_at = now - 2h;
    revoked.reason = number;
    const auto answer = judge(form(revoked));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, CertStatus::kRevoked);
    EXPECT_EQ(answer->reason, word);
    EXPECT_EQ(answer->revoked_at, now - 2h);
  }
}

TEST_F(OcspTest, NeverIssuedIsNotRevoked) {
  OcspSingle revoked = single(OcspSingle::Status::kRevoked);
  revoked.revoked_at = WallTime();
  revoked.reason = 6;
  const auto answer = judge(form(revoked));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, CertStatus::kUnknown);
}

TEST_F(OcspTest, UnknownIsAnAnswer) {
  const auto answer = judge(form(single(OcspSingle::Status::kUnknown)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, CertStatus::kUnknown);
}

TEST_F(OcspTest, OurWordIsFoundAmongOthers) {
  OcspForm many = good();
  OcspSingle other = single(OcspSingle::Status::kRevoked);
  other.cert_id = test::with_other_serial(other.cert_id);
  other.extensions = test::critical_extension();
  many.singles.insert(many.singles.begin(), other);
  const auto answer = judge(many);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, CertStatus::kGood);
}

TEST_F(OcspTest, OfTwoEqualWordsTheOneThatEndsFirstCounts) {
  OcspForm twice = good();
  OcspSingle sooner = single();
  sooner.cert_id = ca.cert_id(*certificate, true);
  sooner.next_update = now + 2h;
  twice.singles.push_back(sooner);
  const auto answer = judge(twice);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->next_update, now + 2h);
}

// --- what is not

TEST_F(OcspTest, TwoDifferentWordsAreRefused) {
  OcspForm torn = good();
  torn.singles.push_back(single(OcspSingle::Status::kUnknown));
  expect_refused(judge(torn), "two different things");
}

TEST_F(OcspTest, AWordAboutAnotherCertificateIsRefused) {
  OcspSingle wrong = single();
  wrong.cert_id = test::with_other_serial(wrong.cert_id);
  expect_refused(judge(form(wrong)), "not about this certificate");
  OcspForm none = good();
  none.singles.clear();
  expect_refused(judge(none), "not about this certificate");
  OcspSingle of_other_ca = single();
  of_other_ca.cert_id = OcspCa().cert_id(*certificate);  // the same name and serial, another key
  expect_refused(judge(form(of_other_ca)), "not about this certificate");
}

TEST_F(OcspTest, TimesThatAreWrongAreRefused) {
  OcspSingle expired = single();
  expired.next_update = now;
  expect_refused(judge(form(expired)), "expired");
  OcspSingle future = single();
  future.this_update = now + 6min;
  expect_refused(judge(form(future)), "from the future");
  future.this_update = now + 4min;  // clocks differ
  EXPECT_TRUE(judge(form(future)));
  OcspSingle inverted = single();
  inverted.this_update = now;
  inverted.next_update = now - 1s;
  expect_refused(judge(form(inverted)), "ends before it begins");
}

TEST_F(OcspTest, StrangersAreRefused) {
  const OcspCa stranger;  // of the same name
  expect_refused(judge(good(), stranger.self()), "neither the certificate's issuer nor attached");
  expect_refused(judge_by(stranger.self()), "not certified by");
  expect_refused(judge_by(stranger.delegate({})), "not certified by");
  OcspForm pretending = good();  // the issuer's ID
  pretending.pretended = ca.self();
  expect_refused(judge(pretending, stranger.self()), "signature is not right");
  pretending.by_name = true;
  expect_refused(judge(pretending, stranger.self()), "signature is not right");
}

TEST_F(OcspTest, ADelegateThatMayNotSignIsRefused) {
  OcspCa::Delegate unauthorized;
  unauthorized.ocsp_signing = false;
  expect_refused(judge_by(ca.delegate(unauthorized)), "id-kp-OCSPSigning");
  expect_refused(judge(good(), ca.delegate({})), "neither");  // not attached
  // One of the CA's own leaves is no responder.
  const OcspSigner leaf{certificate->key(), certificate->chain_der().front()};
  expect_refused(judge_by(leaf), "id-kp-OCSPSigning");
}

TEST_F(OcspTest, ADelegateThatIsNotValidNowIsRefused) {
  OcspCa::Delegate expired;
  expired.not_after = now - 1s;
  expect_refused(judge_by(ca.delegate(expired)), "not valid now");
  OcspCa::Delegate early;
  early.not_before = now + 1h;
  expect_refused(judge_by(ca.delegate(early)), "not valid now");
}

TEST_F(OcspTest, ADelegateOfADelegateIsRefused) {
  // Signed by the delegate's key, in the CA's name.
  const OcspSigner delegate = ca.delegate({});
  const OcspCa false_ca(delegate.key);
  expect_refused(judge_by(false_ca.delegate({})), "not certified by");
}

TEST_F(OcspTest, CriticalExtensionsAreRefused) {
  OcspForm whole = good();
  whole.extensions = test::critical_extension();
  expect_refused(judge(whole), "critical extension");
  OcspSingle one = single();
  one.extensions = test::critical_extension();
  expect_refused(judge(form(one)), "critical extension");
}

TEST_F(OcspTest, ARefusalOfTheRespondersSaysWhatItMeans) {
  const auto code_of = [this](int status) {
    OcspForm refusing;
    refusing.response_status = status;
    const auto answer = judge(refusing);
    EXPECT_FALSE(answer);
    return answer.error().code;
  };
  EXPECT_EQ(code_of(1), ErrorCode::kProtocol);
  EXPECT_EQ(code_of(2), ErrorCode::kThrottled);
  EXPECT_EQ(code_of(3), ErrorCode::kThrottled);
  EXPECT_EQ(code_of(5), ErrorCode::kProtocol);
  EXPECT_EQ(code_of(6), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(4), ErrorCode::kProtocol);
}

TEST_F(OcspTest, AnotherTypeOfResponseIsRefused) {
  OcspForm other = good();
  other.response_type = test::der(0x06, "\x2a\x03");
  expect_refused(judge(other), "basic type");
}

TEST_F(OcspTest, WhatIsCutOffAnywhereIsRefused) {
  const OcspSigner delegate = ca.delegate({});
  OcspForm full = good();
  full.attached.push_back(delegate.certificate);
  const std::string whole = make_ocsp_answer(full, delegate);
  ASSERT_TRUE(judge(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(judge(std::string_view(whole).substr(0, size))) << size;
  }
}

TEST_F(OcspTest, NoByteMayBeChanged) {
  OcspForm full = good();
  full.by_name = true;
  const std::string whole = make_ocsp_answer(full, ca.self());
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(judge(changed)) << at;
  }
}

TEST_F(OcspTest, NothingMayStandBehindIt) {
  expect_refused(judge(make_ocsp_answer(good(), ca.self()) + '\0'), "malformed");
  expect_refused(judge(""), "malformed");
  expect_refused(judge("<html>"), "malformed");
  expect_refused(judge(std::string(65 << 10, '0')), "64 KiB");
}

TEST_F(OcspTest, ManyAttachedCertificatesCostNoMoreThanEight) {
  const OcspSigner delegate = ca.delegate({});
  OcspForm crowded = good();
  const OcspCa stranger(generate_p256_key(), "Crowd");
  for (int i = 0; i < 8; ++i) crowded.attached.push_back(stranger.self().certificate);
  crowded.attached.push_back(delegate.certificate);
  expect_refused(judge(crowded, delegate), "neither");
}

}  // namespace
}  // namespace latchkey::acme
