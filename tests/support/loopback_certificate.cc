#include "tests/support/loopback_certificate.h"

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"

namespace latchkey::test {
namespace {

std::string text_of(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio, &data, &size) == 1);
  return std::string(reinterpret_cast<const char*>(data), size);
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value)));
  CHECK(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

PemPair make_loopback_certificate() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  CHECK(EC_KEY_generate_key(ec.get()) == 1);
  const bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(EVP_PKEY_assign_EC_KEY(key.get(), ec.release()) == 1);

  const bssl::UniquePtr<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 7L * 24 * 3600);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const uint8_t*>("test server"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key.get());
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate.get(), NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);

  const bssl::UniquePtr<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  const bssl::UniquePtr<BIO> key_pem(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(certificate_pem.get(), certificate.get()) == 1);
  CHECK(PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  return {text_of(certificate_pem.get()), text_of(key_pem.get())};
}

}  // namespace latchkey::test
