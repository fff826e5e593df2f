#include "tests/support/client_ca.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>

#include "base/check.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

WallTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

bssl::UniquePtr<X509> begin(const std::string& common_name, EVP_PKEY* key, WallTime from,
                            WallTime until) {
  bssl::UniquePtr<X509> made(X509_new());
  CHECK(X509_set_version(made.get(), 2));
  std::array<uint8_t, 8> random{};
  RAND_bytes(random.data(), random.size());
  random[0] = 0x4a;
  const bssl::UniquePtr<BIGNUM> serial(BN_bin2bn(random.data(), random.size(), nullptr));
  CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr);
  CHECK(ASN1_TIME_set(X509_getm_notBefore(made.get()), from.time_since_epoch().count()));
  CHECK(ASN1_TIME_set(X509_getm_notAfter(made.get()), until.time_since_epoch().count()));
  CHECK(X509_set_pubkey(made.get(), key));
  CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const uint8_t*>(common_name.data()),
                                   static_cast<int>(common_name.size()), -1, 0));
  return made;
}

void set_ca(X509* certificate, bool ca) {
  const bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = ca ? 0xff : 0;
  CHECK(X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints.get(), 1, 0));
}

std::string der_of(X509* certificate) {
  uint8_t* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  CHECK(size > 0);
  const bssl::UniquePtr<uint8_t> owner(bytes);
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)};
}

}  // namespace

ClientCa::ClientCa(const std::string& name) : key_(generate_p256_key()) {
  const auto made = begin(name, key_.get(), now() - hours(24), now() + hours(24 * 365));
  CHECK(X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())));
  set_ca(made.get(), true);
  CHECK(X509_sign(made.get(), key_.get(), EVP_sha256()));
  der_ = der_of(made.get());
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), made.get()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio.get(), &data, &size));
  pem_.assign(reinterpret_cast<const char*>(data), size);
}

CertificatePtr ClientCa::issue(const Form& form) const {
  const PrivateKey key = generate_p256_key();
  const bool dated = form.not_after != WallTime();
  const auto made = begin(form.common_name, key.get(), dated ? form.not_before : now() - hours(1),
                          dated ? form.not_after : now() + hours(24));
  const auto* at = reinterpret_cast<const uint8_t*>(der_.data());
  const bssl::UniquePtr<X509> issuer(d2i_X509(nullptr, &at, static_cast<long>(der_.size())));
  CHECK(X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.get())));
  set_ca(made.get(), false);
  if (!form.purpose.empty()) {
    const bssl::UniquePtr<EXTENDED_KEY_USAGE> uses(sk_ASN1_OBJECT_new_null());
    ASN1_OBJECT* const use = OBJ_txt2obj(form.purpose.c_str(), 0);
    CHECK(use != nullptr && sk_ASN1_OBJECT_push(uses.get(), use));
    CHECK(X509_add1_ext_i2d(made.get(), NID_ext_key_usage, uses.get(), 0, 0));
  }
  CHECK(X509_sign(made.get(), key_.get(), EVP_sha256()));
  auto out = Certificate::from_der({der_of(made.get())}, key);
  CHECK(out.has_value());
  return *std::move(out);
}

}  // namespace latchkey::test
