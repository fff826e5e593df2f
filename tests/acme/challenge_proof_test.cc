// Which certificates answer a TLS-ALPN-01 challenge.

#include "acme/authority/challenge_proof.h"

#include <gtest/gtest.h>
#include <openssl/bytestring.h>

#include <array>

#include "acme/challenge_certificate.h"
#include "acme/ip_identifier.h"
#include "acme/jws.h"
#include "acme/self_signed.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

constexpr const char* kKeyAuthorization = "token.thumbprint";
constexpr const char* kIdentifier = "1.3.6.1.5.5.7.1.31";

ServerName name(const std::string& text) {
  auto address = ServerName::parse_ip(text);
  return address ? *address : *ServerName::parse(text);
}

std::string digest() {
  return std::string("\x04\x20") + sha256(kKeyAuthorization);
}

std::string leaf_of(const Result<CertificatePtr>& certificate) {
  EXPECT_TRUE(certificate);
  return certificate ? (*certificate)->chain_der().front() : std::string();
}

SelfSigned certificate_for(const std::string& dns_name) {
  SelfSigned certificate;
  certificate.common_name = "a challenge";
  certificate.dns_name = dns_name;
  certificate.extensions = {{kIdentifier, true, digest()}};
  return certificate;
}

// "" for a proof, else "CODE: why".
std::string verdict(const std::string& der, const std::string& whose = "a.test") {
  const Result<> ok = check_challenge_certificate(der, name(whose), kKeyAuthorization);
  if (ok) return "";
  return (ok.error().code == ErrorCode::kDenied ? "denied: " : "protocol: ") + ok.error().message;
}
std::string verdict(const SelfSigned& certificate, const std::string& whose = "a.test") {
  return verdict(leaf_of(make_self_signed(certificate)), whose);
}

TEST(ChallengeProof, OurOwnAnswerIsOne) {
  for (const char* whose : {"a.test", "192.0.2.1", "2001:db8::1"}) {
    EXPECT_EQ(verdict(leaf_of(make_challenge_certificate(name(whose), kKeyAuthorization)), whose),
              "");
  }
}

TEST(ChallengeProof, CaseDoesNotMatterAndEverythingElseOfTheNameDoes) {
  EXPECT_EQ(verdict(certificate_for("A.Test")), "");
  for (const char* other : {"b.test", "www.a.test", "*.test", "a.test.", "a.test\n"}) {
    EXPECT_EQ(verdict(certificate_for(other)).find("denied: its certificate is for \""), 0u)
        << other;
  }
  EXPECT_EQ(verdict(certificate_for("192.0.2.1"), "192.0.2.1").find("denied: "), 0u)
      << "an address is no dNSName";
  SelfSigned address = certificate_for("");
  address.address = address_octets(name("192.0.2.1"));
  EXPECT_EQ(verdict(address, "192.0.2.1"), "");
  EXPECT_EQ(verdict(address, "192.0.2.2").find("denied: "), 0u);
  EXPECT_EQ(verdict(address, "a.test").find("denied: "), 0u);
}

TEST(ChallengeProof, TheIdentifierIsThereOnceCriticalAndOfThisKeyAuthorization) {
  SelfSigned certificate = certificate_for("a.test");
  certificate.extensions = {};
  EXPECT_NE(verdict(certificate).find("protocol: its certificate has no acmeIdentifier"),
            std::string::npos);
  certificate.extensions = {{kIdentifier, false, digest()}};
  EXPECT_NE(verdict(certificate).find("not critical"), std::string::npos);
  certificate.extensions = {{kIdentifier, true, digest()}, {kIdentifier, true, digest()}};
  EXPECT_NE(verdict(certificate).find("two acmeIdentifiers"), std::string::npos);
  certificate.extensions = {{kIdentifier, true, std::string("\x04\x20") + sha256("other")}};
  EXPECT_EQ(verdict(certificate).find("denied: "), 0u);
  for (const std::string& odd :
       {std::string(), sha256(kKeyAuthorization), std::string("\x04\x1f") + std::string(31, 'x'),
        digest() + "x", std::string("\x04\x21") + sha256(kKeyAuthorization) + "x"}) {
    certificate.extensions = {{kIdentifier, true, odd}};
    EXPECT_NE(verdict(certificate).find("not a SHA-256"), std::string::npos);
  }
}

// A subjectAltName of these, in a certificate that has nothing else to it: nobody looks at that.
std::string certificate_with(const std::vector<std::string>& dns_names) {
  const auto wrap = [](char tag, const std::string& inner) {
    std::string der(1, tag);
    if (inner.size() > 127) der += '\x81';
    return der + static_cast<char>(inner.size()) + inner;
  };
  std::string names;
  for (const std::string& dns_name : dns_names) names += wrap('\x82', dns_name);
  const std::string san =
      wrap('\x30', std::string("\x06\x03\x55\x1d\x11") + wrap('\x04', wrap('\x30', names)));
  const std::string identifier =
      wrap('\x30', std::string("\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff") +
                       wrap('\x04', digest()));
  std::string tbs = "\x02\x01\x01";
  for (int i = 0; i < 5; ++i) tbs += std::string("\x30\x00", 2);
  tbs += wrap('\xa3', wrap('\x30', san + identifier));
  return wrap('\x30', wrap('\x30', tbs));
}

TEST(ChallengeProof, ItIsForExactlyOneName) {
  EXPECT_EQ(verdict(certificate_with({"a.test"})), "");
  EXPECT_EQ(verdict(certificate_with({"a.test", "a.test"})).find("protocol: "), 0u);
  EXPECT_EQ(verdict(certificate_with({"a.test", "b.test"})).find("protocol: "), 0u);
  EXPECT_EQ(verdict(certificate_with({})).find("protocol: its certificate is for 0 names"), 0u);
  SelfSigned twice = certificate_for("a.test");
  twice.extensions.push_back({"2.5.29.17", false, std::string("\x30\x03\x82\x01") + "b"});
  EXPECT_NE(verdict(twice).find("two subjectAltNames"), std::string::npos);
}

TEST(ChallengeProof, ACertificateOfAnotherKindAndBytesThatAreNone) {
  const TestCa ca;
  EXPECT_EQ(verdict(leaf_of(ca.issue({"a.test"}))).find("protocol: "), 0u);
  const std::string good = leaf_of(make_challenge_certificate(name("a.test"), kKeyAuthorization));
  EXPECT_EQ(verdict(good + "x").find("protocol: "), 0u);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(verdict(good.substr(0, size)), "") << size;
  }
}

}  // namespace
}  // namespace latchkey::acme
