#pragma once
// Certificates for tests: a root, an intermediate, and leaves as a public CA would make them.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cache/certificate.h"

namespace latchkey {

class TestCa {
 public:
  using Names = std::vector<std::string>;  // dNSNames, or addresses as text

  explicit TestCa(std::string_view name = "Test");
  static WallTime now();  // to the second

  // What a client trusts. The chain of a leaf is leaf, intermediate.
  const std::string root_pem;
  const std::string intermediate_pem;
  // Of leaves: so many bytes as a public CA's signed certificate timestamps; they say nothing.
  size_t sct_bytes = 0;

  // A leaf with a new P-256 key, or with `key`; by default valid from an hour ago for 90 days.
  CertificatePtr issue(const Names& names) const;
  CertificatePtr issue(const Names& names, WallTime not_before, WallTime not_after,
                       PrivateKey key = nullptr) const;

  // The chain in PEM for a given public key (of a PrivateKey, or of a CSR in DER).
  std::string issue_pem(const Names& names, const PrivateKey& key) const;
  std::string issue_pem(const Names& names, WallTime not_before, WallTime not_after,
                        const PrivateKey& key) const;
  // ACME's finalize: the names asked for in the CSR and its key. REQUIRES: a CSR that parses.
  std::string issue_for_csr(std::string_view csr_der) const;
  std::string issue_for_csr(std::string_view csr_der, WallTime not_before,
                            WallTime not_after) const;
  // The dNSNames and addresses of a CSR in DER.
  static Names names_of_csr(std::string_view csr_der);
  static PrivateKey public_key_of_csr(std::string_view csr_der);

 private:
  struct Keys;
  explicit TestCa(Keys keys);

  const PrivateKey intermediate_key_;
  const std::string intermediate_der_;
};

// The subject's common name of a certificate in PEM, or "".
std::string common_name(const std::string& pem);
// The PEM (PKCS#8) of a private key.
std::string private_key_pem(const PrivateKey& key);
PrivateKey generate_rsa_key(int bits = 2048);

}  // namespace latchkey
