#include "acme/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/obj.h>

#include <chrono>
#include <string>

#include "tests/acme/odd_certificate.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JudgeTest : public ::testing::Test {
 protected:
  std::string verdict(const std::string& pem) {
    const Result<Judged> judged = judge(pem, a, key, now);
    return judged ? "accepted" : judged.error().message;
  }
  // The `index`th PEM block of a chain.
  static std::string block(const std::string& pem, size_t index) {
    const std::string end = "-----END CERTIFICATE-----\n";
    size_t from = 0;
    while (index-- > 0) from = pem.find(end, from) + end.size();
    return pem.substr(from, pem.find(end, from) + end.size() - from);
  }

  const ServerName a = *ServerName::parse("a.test");
  const PrivateKey key = generate_p256_key();
  const TestCa ca;
  const WallTime now = TestCa::now();
  const std::string good = ca.issue_pem({"a.test"}, key);
};

TEST_F(JudgeTest, AGoodChainIsAccepted) {
  const Result<Judged> judged = judge(good, a, key, now);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_TRUE(judged->certificate->covers(a));
  EXPECT_THAT(judged->certificate->chain_der(), SizeIs(2));
  EXPECT_THAT(judged->warnings, IsEmpty());
  EXPECT_EQ(verdict(good + ca.root_pem), "accepted") << "with its root";
  EXPECT_EQ(verdict(block(good, 0)), "accepted") << "a leaf that a root signed";
  EXPECT_EQ(verdict("text before\n" + good + "\r\n\n"), "accepted");
}

TEST_F(JudgeTest, NamesThatNobodyAskedForAreRefused) {
  EXPECT_THAT(verdict(ca.issue_pem({"a.test", "www.a.test"}, key)),
              HasSubstr("for more names than a.test, the only one asked for: a.test, www.a.test"));
  EXPECT_THAT(verdict(ca.issue_pem({"b.test", "a.test"}, key)), HasSubstr("for more names"));
  EXPECT_THAT(verdict(ca.issue_pem({"a.test", "127.0.0.1"}, key)), HasSubstr("for more names"));
  EXPECT_EQ(verdict(ca.issue_pem({"a.test", "a.test"}, key)), "accepted") << "said twice";
}

TEST_F(JudgeTest, AnAddressIsANameLikeOthers) {
  for (const char* text : {"192.0.2.7", "2001:db8::7"}) {
    const ServerName ip = *ServerName::parse_ip(text);
    EXPECT_TRUE(judge(ca.issue_pem({text}, key), ip, key, now)) << text;
    EXPECT_FALSE(judge(ca.issue_pem({"192.0.2.8"}, key), ip, key, now));
    EXPECT_FALSE(judge(good, ip, key, now));
  }
  // As a dNSName it is none.
  const std::string disguised = make_odd({"DNS:192.0.2.7"}, key);
  EXPECT_FALSE(judge(disguised, *ServerName::parse_ip("192.0.2.7"), key, now));
}

TEST_F(JudgeTest, ALeafThatIsNotForTlsServersIsRefused) {
  const auto with = [this](int nid, const std::string& value) {
    OddCertificate odd;
    odd.extensions = {{nid, value}};
    return verdict(make_odd(odd, key));
  };
  EXPECT_EQ(verdict(make_odd({}, key)), "accepted") << "usages that are not mentioned";
  EXPECT_THAT(with(NID_basic_constraints, "critical,CA:TRUE"), HasSubstr("a CA's certificate"));
  EXPECT_EQ(with(NID_basic_constraints, "critical,CA:FALSE"), "accepted");
  EXPECT_THAT(with(NID_ext_key_usage, "clientAuth,emailProtection"), HasSubstr("serverAuth"));
  EXPECT_EQ(with(NID_ext_key_usage, "serverAuth,clientAuth"), "accepted");
  EXPECT_EQ(with(NID_ext_key_usage, "anyExtendedKeyUsage"), "accepted");
  EXPECT_THAT(with(NID_key_usage, "keyEncipherment"), HasSubstr("digital signatures"));
  EXPECT_EQ(with(NID_key_usage, "digitalSignature"), "accepted");
}

TEST_F(JudgeTest, ASerialNumberThatTheRfcForbidsIsWarnedOf) {
  for (const std::string& serial : {std::string("0"), std::string(42, '1')}) {
    OddCertificate odd;
    odd.serial_hex = serial;
    const Result<Judged> judged = judge(make_odd(odd, key), a, key, now);
    ASSERT_TRUE(judged) << judged.error().message;
    ASSERT_THAT(judged->warnings, SizeIs(1)) << serial;
    EXPECT_THAT(judged->warnings.front(), HasSubstr("serial number"));
  }
}

TEST_F(JudgeTest, OneThatMustBeStapledIsAcceptedAndWarnedOfWhereNobodyCanGiveAStaple) {
  const int tls_feature = OBJ_create("1.3.6.1.5.5.7.1.24", "tlsfeature", "TLS Feature");
  OddCertificate odd;
  odd.extensions = {{tls_feature, "DER:3003020105"}};
  const Result<Judged> alone = judge(make_odd(odd, key), a, key, now);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_THAT(alone->warnings, ElementsAre(HasSubstr("must-staple")));
  odd.extensions.emplace_back(NID_info_access, "OCSP;URI:http://ocsp.ca.test/");
  const Result<Judged> judged = judge(make_odd(odd, key), a, key, now);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_THAT(judged->warnings, IsEmpty());
}

TEST_F(JudgeTest, AWildcardIsForItselfAlone) {
  const ServerName wildcard = *ServerName::parse_wildcard("*.a.test");
  EXPECT_TRUE(judge(ca.issue_pem({"*.a.test"}, key), wildcard, key, now));
  const auto refusal = [&](const TestCa::Names& names) {
    const Result<Judged> judged = judge(ca.issue_pem(names, key), wildcard, key, now);
    return judged ? "accepted" : judged.error().message;
  };
  EXPECT_THAT(refusal({"*.a.test", "a.test"}), HasSubstr("for more names than *.a.test"));
  EXPECT_THAT(refusal({"a.test"}), HasSubstr("it is not for *.a.test but for a.test"));
  EXPECT_THAT(refusal({"*.b.test"}), HasSubstr("it is not for *.a.test"));
  EXPECT_THAT(refusal({"x.a.test"}), HasSubstr("it is not for *.a.test")) << "though covered by it";
}

TEST_F(JudgeTest, ACertificateThatComesTwiceIsRefused) {
  EXPECT_THAT(verdict(good + ca.root_pem + ca.root_pem),
              HasSubstr("certificate 4 of the chain is the same as certificate 3"));
}

TEST_F(JudgeTest, AnotherNameIsRefused) {
  EXPECT_THAT(verdict(ca.issue_pem({"b.test", "c.test"}, key)),
              HasSubstr("it is not for a.test but for b.test, c.test"));
  EXPECT_THAT(verdict(ca.issue_pem({"*.test"}, key)), HasSubstr("not for a.test but for *.test"));
}

TEST_F(JudgeTest, AnotherKeyIsRefused) {
  EXPECT_THAT(verdict(ca.issue_pem({"a.test"}, generate_p256_key())),
              HasSubstr("not for the key that we asked for"));
  EXPECT_THAT(verdict(ca.issue_pem({"a.test"}, generate_rsa_key())),
              HasSubstr("not for the key that we asked for"));
}

TEST_F(JudgeTest, DatesMustIncludeNowButForALittleSkew) {
  EXPECT_EQ(verdict(ca.issue_pem({"a.test"}, now + 4min, now + 24h, key)), "accepted");
  EXPECT_THAT(verdict(ca.issue_pem({"a.test"}, now + 6min, now + 24h, key)),
              HasSubstr("is the clock right?"));
  EXPECT_THAT(verdict(ca.issue_pem({"a.test"}, now - 24h, now, key)), HasSubstr("it expired at"));
  EXPECT_EQ(verdict(ca.issue_pem({"a.test"}, now - 24h, now + 1s, key)), "accepted");
}

TEST_F(JudgeTest, TheChainMustBeInOrder) {
  const std::string leaf = block(good, 0);
  const std::string intermediate = block(good, 1);
  EXPECT_THAT(verdict(leaf + ca.root_pem + intermediate),
              HasSubstr("certificate 2 of the chain did not sign the leaf"));
  EXPECT_THAT(verdict(good + intermediate + intermediate), HasSubstr("is the same as"));
  EXPECT_THAT(verdict(intermediate + leaf), HasSubstr("not for the key"));
  const TestCa other;  // the same names, other keys
  EXPECT_THAT(verdict(leaf + other.intermediate_pem), HasSubstr("not in order"));
  EXPECT_THAT(verdict(leaf + leaf), HasSubstr("is the same as the leaf"));
}

TEST_F(JudgeTest, ALeafThatOutlivesItsIssuerIsWarnedOf) {
  const std::string pem = ca.issue_pem({"a.test"}, now - 1h, now + 20'000 * 24h, key);
  const Result<Judged> judged = judge(pem, a, key, now);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_THAT(judged->warnings, SizeIs(1));
}

TEST_F(JudgeTest, AnIssuerThatHasExpiredIsWarnedOf) {
  const WallTime later = now + 24h * 30'000;
  const std::string pem = ca.issue_pem({"a.test"}, later - 1h, later + 1h, key);
  const Result<Judged> judged = judge(pem, a, key, later);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_THAT(judged->warnings, ElementsAre(HasSubstr("an issuer in the chain has expired")));
  EXPECT_EQ(judged->certificate->chain_not_after(), later + 1h) << "renewed by its own life";
}

TEST_F(JudgeTest, WhatIsNotAChainIsRefused) {
  for (const std::string& bad :
       {std::string(), std::string("<html>no</html>"), std::string(1000, '\0'),
        std::string("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        std::string("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"),
        std::string("-----END CERTIFICATE-----")}) {
    EXPECT_THAT(verdict(bad), HasSubstr("refused before it was stored")) << bad;
  }
  EXPECT_THAT(verdict(private_key_pem(key) + good), HasSubstr("found a PEM block \"PRIVATE KEY\""));
  std::string many = good;
  for (int i = 0; i < 100; ++i) many += block(good, 1);
  EXPECT_THAT(verdict(many), HasSubstr("more than 10 certificates"));
  EXPECT_THAT(verdict(std::string(200 << 10, '\n') + good), HasSubstr("longer than 128 KiB"));
}

TEST_F(JudgeTest, NoChainThatIsCutOffIsAccepted) {
  const std::string leaf = block(good, 0);
  const size_t end = good.find_last_not_of('\n');
  for (size_t length = 0; length <= end; ++length) {
    if (length + 1 == leaf.size() || length == leaf.size()) continue;  // the leaf alone
    ASSERT_NE(verdict(good.substr(0, length)), "accepted") << length;
  }
}

TEST_F(JudgeTest, NoDamagedByteIsAccepted) {
  const size_t body = good.find('\n') + 1;
  for (size_t at = body; at < block(good, 0).size() - 30; at += 7) {
    std::string damaged = good;
    damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
    ASSERT_NE(verdict(damaged), "accepted") << at;
  }
}

}  // namespace
}  // namespace latchkey::acme
