#include "acme/csr.h"

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include "base/check.h"

namespace latchkey::acme {
namespace {

constexpr uint8_t kExtensionRequest[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                         0x0d, 0x01, 0x09, 0x0e};  // 1.2.840.113549.1.9.14
constexpr uint8_t kSubjectAltName[] = {0x55, 0x1d, 0x11};          // 2.5.29.17
constexpr uint8_t kEcdsaWithSha256[] = {0x2a, 0x86, 0x48, 0xce,
                                        0x3d, 0x04, 0x03, 0x02};  // 1.2.840.10045.4.3.2
constexpr unsigned kAttributes = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0;
constexpr unsigned kDnsName = CBS_ASN1_CONTEXT_SPECIFIC | 2;

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

// Attributes: one extensionRequest with one extension.
void add_alternative_name(CBB* info, const std::string& name) {
  CBB attributes, attribute, values, extensions, extension, value, names, dns;
  ok(CBB_add_asn1(info, &attributes, kAttributes));
  ok(CBB_add_asn1(&attributes, &attribute, CBS_ASN1_SEQUENCE));
  add_oid(&attribute, kExtensionRequest, sizeof(kExtensionRequest));
  ok(CBB_add_asn1(&attribute, &values, CBS_ASN1_SET));
  ok(CBB_add_asn1(&values, &extensions, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1(&extensions, &extension, CBS_ASN1_SEQUENCE));
  add_oid(&extension, kSubjectAltName, sizeof(kSubjectAltName));
  ok(CBB_add_asn1_bool(&extension, 1));  // critical, as the subject is empty (RFC 5280, 4.1.2.6)
  ok(CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING));
  ok(CBB_add_asn1(&value, &names, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1(&names, &dns, kDnsName));
  ok(CBB_add_bytes(&dns, reinterpret_cast<const uint8_t*>(name.data()), name.size()));
  ok(CBB_flush(info));
}

std::string request_info(const std::string& name, EVP_PKEY* key) {
  bssl::ScopedCBB builder;
  CBB info, subject;
  ok(CBB_init(builder.get(), 256));
  ok(CBB_add_asn1(builder.get(), &info, CBS_ASN1_SEQUENCE));
  ok(CBB_add_asn1_uint64(&info, 0));
  ok(CBB_add_asn1(&info, &subject, CBS_ASN1_SEQUENCE));
  ok(CBB_flush(&info));
  ok(EVP_marshal_public_key(&info, key));
  add_alternative_name(&info, name);
  return finish(builder.get());
}

std::string sign(const std::string& message, EVP_PKEY* key) {
  bssl::ScopedEVP_MD_CTX context;
  const auto* bytes = reinterpret_cast<const uint8_t*>(message.data());
  ok(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key));
  size_t size = 0;
  ok(EVP_DigestSign(context.get(), nullptr, &size, bytes, message.size()));
  std::string signature(size, '\0');
  ok(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, bytes,
                    message.size()));
  signature.resize(size);
  return signature;
}

}  // namespace

std::string make_csr(const ServerName& name, const PrivateKey& key) {
  CHECK(EVP_PKEY_id(key.get()) == EVP_PKEY_EC);
  const std::string info = request_info(name.text(), key.get());
  const std::string signature = sign(info, key.get());
  bssl::ScopedCBB builder;
  CBB request, algorithm, bits;
  ok(CBB_init(builder.get(), 512));
  ok(CBB_add_asn1(builder.get(), &request, CBS_ASN1_SEQUENCE));
  ok(CBB_add_bytes(&request, reinterpret_cast<const uint8_t*>(info.data()), info.size()));
  ok(CBB_add_asn1(&request, &algorithm, CBS_ASN1_SEQUENCE));
  add_oid(&algorithm, kEcdsaWithSha256, sizeof(kEcdsaWithSha256));
  ok(CBB_add_asn1(&request, &bits, CBS_ASN1_BITSTRING));
  ok(CBB_add_u8(&bits, 0));  // no unused bits
  ok(CBB_add_bytes(&bits, reinterpret_cast<const uint8_t*>(signature.data()), signature.size()));
  return finish(builder.get());
}

}  // namespace latchkey::acme
