#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct env_md_st;    // BoringSSL's EVP_MD
struct evp_pkey_st;  // EVP_PKEY
struct x509_st;      // X509

namespace latchkey::acme {

// What names a certificate in OCSP, and whoever has issued it.
struct OcspIdentity {
  std::string issuer_name;  // DER, as the certificate has it
  std::string key_bits;     // of the issuer's public key, as a certID hashes it
  std::string serial;       // the contents of the INTEGER
  std::shared_ptr<x509_st> issuer;
  std::shared_ptr<evp_pkey_st> issuer_key;
};

// `leaf`, `issuer`: DER. Errors (kInvalid): one does not parse, or the issuer has another name than
// the leaf says.
Result<OcspIdentity> ocsp_identity(std::string_view leaf, std::string_view issuer);

std::string digest_of(std::string_view bytes, const env_md_st* digest);
// The bits of a certificate's public key.
std::string key_bits_of(const x509_st* certificate);

}  // namespace latchkey::acme
