#pragma once
// A self-signed leaf that says something odd of itself, in PEM.

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "cache/private_key.h"

namespace latchkey::acme {

struct OddCertificate {
  std::string names{"DNS:a.test"};  // as OpenSSL's configuration has them
  std::string serial_hex{"1234"};
  std::vector<std::pair<int, std::string>> extensions{};  // NID, value likewise
};

inline std::string make_odd(const OddCertificate& what, const PrivateKey& key) {
  const bssl::UniquePtr<X509> made(X509_new());
  CHECK(X509_set_version(made.get(), X509_VERSION_3));
  BIGNUM* number = nullptr;
  CHECK(BN_hex2bn(&number, what.serial_hex.c_str()) > 0);
  const bssl::UniquePtr<BIGNUM> serial(number);
  CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr);
  CHECK(X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600) != nullptr);
  CHECK(X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600) != nullptr);
  X509_NAME* subject = X509_get_subject_name(made.get());
  const std::string name = "odd";
  CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const uint8_t*>(name.data()),
                                   static_cast<int>(name.size()), -1, 0));
  CHECK(X509_set_issuer_name(made.get(), subject));
  CHECK(X509_set_pubkey(made.get(), key.get()));
  auto extensions = what.extensions;
  extensions.emplace_back(NID_subject_alt_name, what.names);
  for (const auto& [nid, value] : extensions) {
    const bssl::UniquePtr<X509_EXTENSION> extension(
        X509V3_EXT_nconf_nid(nullptr, nullptr, nid, value.c_str()));
    CHECK(extension != nullptr);
    CHECK(X509_add_ext(made.get(), extension.get(), -1));
  }
  CHECK(X509_sign(made.get(), key.get(), EVP_sha256()));
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), made.get()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio.get(), &data, &size));
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace latchkey::acme
