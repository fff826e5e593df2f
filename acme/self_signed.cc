#include "acme/self_signed.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/obj.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/der.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

void add_extension(X509* x509, const SelfSigned::Extension& what) {
  const bssl::UniquePtr<ASN1_OBJECT> object(OBJ_txt2obj(what.oid.c_str(), 1));
  const bssl::UniquePtr<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
  CHECK(object && value);
  ok(ASN1_OCTET_STRING_set(value.get(), bytes_of(what.der), static_cast<int>(what.der.size())));
  const bssl::UniquePtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, object.get(), what.critical ? 1 : 0, value.get()));
  CHECK(extension);
  ok(X509_add_ext(x509, extension.get(), -1));
}

// SEQUENCE { [2] dNSName } or { [7] iPAddress }. A name is at most 253 bytes long.
std::string alternative_name(const SelfSigned& what) {
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
  const bool is_ip = !what.address.empty();
  const std::string& value = is_ip ? what.address : what.dns_name;
  const std::string name = header(is_ip ? '\x87' : '\x82', value.size()) + value;
  return header('\x30', name.size()) + name;
}

void set_serial(X509* x509) {
  uint8_t serial[8];
  RAND_bytes(serial, sizeof(serial));
  uint64_t number = 0;
  for (const uint8_t byte : serial) number = number << 8 | byte;
  ok(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), number >> 1 | 1));
}

}  // namespace

Result<CertificatePtr> make_self_signed(const SelfSigned& what) {
  const PrivateKey key = generate_p256_key();
  const bssl::UniquePtr<X509> x509(X509_new());
  CHECK(x509);
  ok(X509_set_version(x509.get(), X509_VERSION_3));
  set_serial(x509.get());
  const long life = std::chrono::duration_cast<std::chrono::seconds>(what.life).count();
  CHECK(X509_gmtime_adj(X509_getm_notBefore(x509.get()), -24L * 3600) != nullptr);
  CHECK(X509_gmtime_adj(X509_getm_notAfter(x509.get()), life) != nullptr);
  X509_NAME* subject = X509_get_subject_name(x509.get());
  ok(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, bytes_of(what.common_name),
                                static_cast<int>(what.common_name.size()), -1, 0));
  ok(X509_set_issuer_name(x509.get(), subject));
  ok(X509_set_pubkey(x509.get(), key.get()));
  add_extension(x509.get(), {"2.5.29.17", false, alternative_name(what)});
  for (const SelfSigned::Extension& extension : what.extensions) {
    add_extension(x509.get(), extension);
  }
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
