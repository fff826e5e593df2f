#include "acme/challenge_certificate.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/obj.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "acme/jws.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

constexpr char kAcmeIdentifier[] = "1.3.6.1.5.5.7.1.31";
constexpr long kDay = 24L * 3600;

// Only a lack of memory makes these calls fail.
void ok(int result) {
  CHECK(result == 1);
}

const uint8_t* bytes_of(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

void add_extension(X509* x509, const char* oid, bool critical, const std::string& der) {
  const bssl::UniquePtr<ASN1_OBJECT> object(OBJ_txt2obj(oid, 1));
  const bssl::UniquePtr<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
  CHECK(object && value);
  ok(ASN1_OCTET_STRING_set(value.get(), bytes_of(der), static_cast<int>(der.size())));
  const bssl::UniquePtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, object.get(), critical ? 1 : 0, value.get()));
  CHECK(extension);
  ok(X509_add_ext(x509, extension.get(), -1));
}

// SEQUENCE { [2] name }. A name is at most 253 bytes long.
std::string alternative_name(const std::string& name) {
  const auto header = [](char tag, size_t size) {
    std::string der(1, tag);
    if (size > 255) {
      der += '\x82';
      der += static_cast<char>(size >> 8);
    } else if (size > 127) {
      der += '\x81';
    }
    return der + static_cast<char>(size & 255);
  };
  const std::string dns = header('\x82', name.size()) + name;
  return header('\x30', dns.size()) + dns;
}

void set_serial(X509* x509) {
  uint8_t serial[8];
  RAND_bytes(serial, sizeof(serial));
  uint64_t number = 0;
  for (const uint8_t byte : serial) number = number << 8 | byte;
  ok(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), number >> 1 | 1));
}

}  // namespace

Result<CertificatePtr> make_challenge_certificate(const ServerName& name,
                                                  std::string_view key_authorization) {
  const PrivateKey key = generate_p256_key();
  const bssl::UniquePtr<X509> x509(X509_new());
  CHECK(x509);
  ok(X509_set_version(x509.get(), X509_VERSION_3));
  set_serial(x509.get());
  // The validator looks at name and extension only; the dates are for whoever inspects it.
  CHECK(X509_gmtime_adj(X509_getm_notBefore(x509.get()), -kDay) != nullptr);
  CHECK(X509_gmtime_adj(X509_getm_notAfter(x509.get()), 7 * kDay) != nullptr);
  const std::string common_name = "ACME challenge";
  X509_NAME* subject = X509_get_subject_name(x509.get());
  ok(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, bytes_of(common_name),
                                static_cast<int>(common_name.size()), -1, 0));
  ok(X509_set_issuer_name(x509.get(), subject));
  ok(X509_set_pubkey(x509.get(), key.get()));
  add_extension(x509.get(), "2.5.29.17", false, alternative_name(name.text()));
  add_extension(x509.get(), kAcmeIdentifier, true,
                std::string("\x04\x20") + sha256(key_authorization));
  CHECK(X509_sign(x509.get(), key.get(), EVP_sha256()) > 0);

  uint8_t* der = nullptr;
  const int size = i2d_X509(x509.get(), &der);
  CHECK(size > 0);
  const bssl::UniquePtr<uint8_t> owner(der);
  const std::vector<std::string> chain{
      std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size))};
  return Certificate::from_der(chain, key);
}

}  // namespace latchkey::acme
