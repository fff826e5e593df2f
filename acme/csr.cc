#include "acme/csr.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include "acme/ip_identifier.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

constexpr uint8_t kExtensionRequest[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                         0x0d, 0x01, 0x09, 0x0e};  // 1.2.840.113549.1.9.14
constexpr uint8_t kSubjectAltName[] = {0x55, 0x1d, 0x11};          // 2.5.29.17
constexpr uint8_t kTlsFeature[] = {0x2b, 0x06, 0x01, 0x05,
                                   0x05, 0x07, 0x01, 0x18};  // 1.3.6.1.5.5.7.1.24
constexpr uint64_t kStatusRequest = 5;                       // the TLS extension's number
constexpr uint8_t kEcdsaWithSha256[] = {0x2a, 0x86, 0x48, 0xce,
                                        0x3d, 0x04, 0x03, 0x02};  // 1.2.840.10045.4.3.2
constexpr uint8_t kEcdsaWithSha384[] = {0x2a, 0x86, 0x48, 0xce,
                                        0x3d, 0x04, 0x03, 0x03};  // 1.2.840.10045.4.3.3
constexpr uint8_t kRsaWithSha256[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                      0x0d, 0x01, 0x01, 0x0b};  // 1.2.840.113549.1.1.11
constexpr unsigned kAttributes = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0;
constexpr unsigned kDnsName = CBS_ASN1_CONTEXT_SPECIFIC | 2;
constexpr unsigned kIpAddress = CBS_ASN1_CONTEXT_SPECIFIC | 7;

// Only a lack of memory makes CBB fail.
void ok(int result) {
  CHECK(result == 1);
}

void add_oid(CBB* to, const uint8_t* oid, size_t size) {
  CBB element;
  ok(CBB_add_asn1(to, &element, CBS_ASN1_OBJECT));
  ok(CBB_add_bytes(&element, oid, size));
  ok(CBB_flush(to));
}

std::string finish(CBB* builder) {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  ok(CBB_finish(builder, &bytes, &size));
  const bssl::UniquePtr<uint8_t> owner(bytes);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

void add_alternative_name(CBB* extensions, const ServerName& name) {
  const std::string bytes = name.is_ip() ? address_octets(name) : name.text();
  CBB extension, value, names, one;
  ok(CBB_add_asn1(extensions, &extension, CBS_ASN1_SEQUENCE));
  add_oid(&extension, kSubjectAltName, sizeof(kSubjectAltName));
  ok(CBB_add_asn1_bool(&extension, 1));  // critical, as the subject is empty (RFC 5280, 4.1.2.6)
  ok(CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING));
  ok(CBB_add_asn1(&value, &names, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1(&names, &one, name.is_ip() ? kIpAddress : kDnsName));
  ok(CBB_add_bytes(&one, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  ok(CBB_flush(extensions));
}

// RFC 7633: who serves it must staple.
void add_must_staple(CBB* extensions) {
  CBB extension, value, features;
  ok(CBB_add_asn1(extensions, &extension, CBS_ASN1_SEQUENCE));
  add_oid(&extension, kTlsFeature, sizeof(kTlsFeature));
  ok(CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING));
  ok(CBB_add_asn1(&value, &features, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1_uint64(&features, kStatusRequest));
  ok(CBB_flush(extensions));
}

// Attributes: one extensionRequest.
void add_extensions(CBB* info, const ServerName& name, bool must_staple) {
  CBB attributes, attribute, values, extensions;
  ok(CBB_add_asn1(info, &attributes, kAttributes));
  ok(CBB_add_asn1(&attributes, &attribute, CBS_ASN1_SEQUENCE));
  add_oid(&attribute, kExtensionRequest, sizeof(kExtensionRequest));
  ok(CBB_add_asn1(&attribute, &values, CBS_ASN1_SET));
  ok(CBB_add_asn1(&values, &extensions, CBS_ASN1_SEQUENCE));
  add_alternative_name(&extensions, name);
  if (must_staple) add_must_staple(&extensions);
  ok(CBB_flush(info));
}

std::string request_info(const ServerName& name, EVP_PKEY* key, bool must_staple) {
  bssl::ScopedCBB builder;
  CBB info, subject;
  ok(CBB_init(builder.get(), 256));
  ok(CBB_add_asn1(builder.get(), &info, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1_uint64(&info, 0));
  ok(CBB_add_asn1(&info, &subject, CBS_ASN1_SEQUENCE));
  ok(CBB_flush(&info));
  ok(EVP_marshal_public_key(&info, key));
  add_extensions(&info, name, must_staple);
  return finish(builder.get());
}

// How a key signs: with the hash that is as strong as its curve.
struct Algorithm {
  const uint8_t* oid;
  size_t oid_size;
  const EVP_MD* hash;
  bool null_parameters;  // RSA has them, ECDSA must not (RFC 5758)
};

Algorithm algorithm_of(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
    return {kRsaWithSha256, sizeof(kRsaWithSha256), EVP_sha256(), true};
  }
  CHECK(EVP_PKEY_id(key) == EVP_PKEY_EC);
  if (EVP_PKEY_bits(key) > 256) {
    return {kEcdsaWithSha384, sizeof(kEcdsaWithSha384), EVP_sha384(), false};
  }
  return {kEcdsaWithSha256, sizeof(kEcdsaWithSha256), EVP_sha256(), false};
}

void add_algorithm(CBB* to, const Algorithm& how) {
  CBB algorithm, null;
  ok(CBB_add_asn1(to, &algorithm, CBS_ASN1_SEQUENCE));
  add_oid(&algorithm, how.oid, how.oid_size);
  if (how.null_parameters) ok(CBB_add_asn1(&algorithm, &null, CBS_ASN1_NULL));
  ok(CBB_flush(to));
}

std::string sign(const std::string& message, EVP_PKEY* key, const EVP_MD* hash) {
  bssl::ScopedEVP_MD_CTX context;
  const auto* bytes = reinterpret_cast<const uint8_t*>(message.data());
  ok(EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key));
  size_t size = 0;
  ok(EVP_DigestSign(context.get(), nullptr, &size, bytes, message.size()));
  std::string signature(size, '\0');
  ok(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, bytes,
                    message.size()));
  signature.resize(size);
  return signature;
}

}  // namespace

std::string make_csr(const ServerName& name, const PrivateKey& key, bool must_staple) {
  const Algorithm how = algorithm_of(key.get());
  const std::string info = request_info(name, key.get(), must_staple);
  const std::string signature = sign(info, key.get(), how.hash);
  bssl::ScopedCBB builder;
  CBB request, bits;
  ok(CBB_init(builder.get(), 512));
  ok(CBB_add_asn1(builder.get(), &request, CBS_ASN1_SEQUENCE));
  ok(CBB_add_bytes(&request, reinterpret_cast<const uint8_t*>(info.data()), info.size()));
  add_algorithm(&request, how);
  ok(CBB_add_asn1(&request, &bits, CBS_ASN1_BITSTRING));
  ok(CBB_add_u8(&bits, 0));  // no unused bits
  ok(CBB_add_bytes(&bits, reinterpret_cast<const uint8_t*>(signature.data()), signature.size()));
  return finish(builder.get());
}

}  // namespace latchkey::acme
