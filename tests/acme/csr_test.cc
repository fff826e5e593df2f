#include "acme/csr.h"

#include <gtest/gtest.h>
#include <openssl/asn1.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/x509.h>

#include <optional>
#include <string>

#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

bssl::UniquePtr<X509_REQ> parse(const std::string& der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509_REQ>(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
}

// The value of RFC 7633's extension.
std::optional<std::string> tls_feature(const std::string& der) {
  const auto csr = parse(der);
  const bssl::UniquePtr<X509_EXTENSIONS> all(X509_REQ_get_extensions(csr.get()));
  const bssl::UniquePtr<ASN1_OBJECT> feature(OBJ_txt2obj("1.3.6.1.5.5.7.1.24", 1));
  const int found = X509v3_get_ext_by_OBJ(all.get(), feature.get(), -1);
  if (found < 0) return std::nullopt;
  X509_EXTENSION* extension = X509v3_get_ext(all.get(), found);
  EXPECT_FALSE(X509_EXTENSION_get_critical(extension));
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<size_t>(ASN1_STRING_length(value)));
}

TEST(Csr, IsSignedAsItsKeySigns) {
  const struct {
    PrivateKey key;
    int signature;
  } cases[] = {
      {generate_p256_key(), NID_ecdsa_with_SHA256},
      {generate_p384_key(), NID_ecdsa_with_SHA384},
      {generate_rsa2048_key(), NID_sha256WithRSAEncryption},
  };
  for (const auto& c : cases) {
    const std::string der = make_csr(*ServerName::parse("a.test"), c.key);
    const auto csr = parse(der);
    ASSERT_NE(csr, nullptr);
    EXPECT_EQ(X509_REQ_get_signature_nid(csr.get()), c.signature);
    EXPECT_EQ(X509_REQ_verify(csr.get(), c.key.get()), 1);
    EXPECT_EQ(TestCa::names_of_csr(der), TestCa::Names{"a.test"});
  }
}

TEST(Csr, MayBeForAWildcardAndAskForAStaple) {
  const PrivateKey key = generate_p256_key();
  const std::string plain = make_csr(*ServerName::parse_wildcard("*.a.test"), key);
  EXPECT_EQ(TestCa::names_of_csr(plain), TestCa::Names{"*.a.test"});
  EXPECT_EQ(tls_feature(plain), std::nullopt);
  const std::string stapled = make_csr(*ServerName::parse("a.test"), key, true);
  EXPECT_EQ(TestCa::names_of_csr(stapled), TestCa::Names{"a.test"});
  EXPECT_EQ(tls_feature(stapled), std::string("\x30\x03\x02\x01\x05", 5)) << "status_request";
  EXPECT_EQ(X509_REQ_verify(parse(stapled).get(), key.get()), 1);
}

}  // namespace
}  // namespace latchkey::acme
