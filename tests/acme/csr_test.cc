#include "acme/csr.h"

#include <gtest/gtest.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

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
    const auto* at = reinterpret_cast<const uint8_t*>(der.data());
    const bssl::UniquePtr<X509_REQ> csr(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
    ASSERT_NE(csr, nullptr);
    EXPECT_EQ(X509_REQ_get_signature_nid(csr.get()), c.signature);
    EXPECT_EQ(X509_REQ_verify(csr.get(), c.key.get()), 1);
    EXPECT_EQ(TestCa::names_of_csr(der), TestCa::Names{"a.test"});
  }
}

}  // namespace
}  // namespace latchkey::acme
