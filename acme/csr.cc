#include "acme/csr.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include "acme/der.h"
#include "acme/ip_identifier.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

using namespace std::string_view_literals;

constexpr auto kExtensionRequest =
    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"sv;                       // 1.2.840.113549.1.9.14
constexpr auto kSubjectAltName = "\x55\x1d\x11"sv;                  // 2.5.29.17
constexpr auto kTlsFeature = "\x2b\x06\x01\x05\x05\x07\x01\x18"sv;  // 1.3.6.1.5.5.7.1.24
constexpr uint64_t kStatusRequest = 5;                              // the TLS extension's number
constexpr auto kEcdsaWithSha256 = "\x2a\x86\x48\xce\x3d\x04\x03\x02"sv;    // 1.2.840.10045.4.3.2
constexpr auto kEcdsaWithSha384 = "\x2a\x86\x48\xce\x3d\x04\x03\x03"sv;    // 1.2.840.10045.4.3.3
constexpr auto kRsaWithSha256 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"sv;  // 1.2.840.113549.1.1.11
constexpr unsigned kAttributes = explicit_tag(0);
constexpr unsigned kDnsName = implicit_tag(2);
constexpr unsigned kIpAddress = implicit_tag(7);

void add_alternative_name(CBB* extensions, const ServerName& name) {
  const std::string bytes = name.is_ip() ? address_octets(name) : name.text();
  CBB extension, value, names;
  ok(CBB_add_asn1(extensions, &extension, CBS_ASN1_SEQUENCE));
  add_value(&extension, CBS_ASN1_OBJECT, kSubjectAltName);
  ok(CBB_add_asn1_bool(&extension, 1));  // critical, as the subject is empty (RFC 5280, 4.1.2.6)
  ok(CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING));
  ok(CBB_add_asn1(&value, &names, CBS_ASN1_SEQUENCE));
  add_value(&names, name.is_ip() ? kIpAddress : kDnsName, bytes);
  ok(CBB_flush(extensions));
}

// RFC 7633: who serves it must staple.
void add_must_staple(CBB* extensions) {
  CBB extension, value, features;
  ok(CBB_add_asn1(extensions, &extension, CBS_ASN1_SEQUENCE));
  add_value(&extension, CBS_ASN1_OBJECT, kTlsFeature);
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
  add_value(&attribute, CBS_ASN1_OBJECT, kExtensionRequest);
  ok(CBB_add_asn1(&attribute, &values, CBS_ASN1_SET));
  ok(CBB_add_asn1(&values, &extensions, CBS_ASN1_SEQUENCE));
  add_alternative_name(&extensions, name);
  if (must_staple) add_must_staple(&extensions);
  ok(CBB_flush(info));
}

std::string request_info(const ServerName& name, EVP_PKEY* key, bool must_staple) {
  return build([&](CBB* out) {
    CBB info, subject;
    ok(CBB_add_asn1(out, &info, CBS_ASN1_SEQUENCE));
    ok(CBB_add_asn1_uint64(&info, 0));
    ok(CBB_add_asn1(&info, &subject, CBS_ASN1_SEQUENCE));
    ok(CBB_flush(&info));
    ok(EVP_marshal_public_key(&info, key));
    add_extensions(&info, name, must_staple);
    ok(CBB_flush(out));
  });
}

// How a key signs: with the hash that is as strong as its curve.
struct Algorithm {
  std::string_view oid;
  const EVP_MD* hash;
  bool null_parameters;  // RSA has them, ECDSA must not (RFC 5758)
};

Algorithm algorithm_of(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
    return {kRsaWithSha256, EVP_sha256(), true};
  }
  CHECK(EVP_PKEY_id(key) == EVP_PKEY_EC);
  if (EVP_PKEY_bits(key) > 256) {
    return {kEcdsaWithSha384, EVP_sha384(), false};
  }
  return {kEcdsaWithSha256, EVP_sha256(), false};
}

void add_algorithm(CBB* to, const Algorithm& how) {
  CBB algorithm, null;
  ok(CBB_add_asn1(to, &algorithm, CBS_ASN1_SEQUENCE));
  add_value(&algorithm, CBS_ASN1_OBJECT, how.oid);
  if (how.null_parameters) ok(CBB_add_asn1(&algorithm, &null, CBS_ASN1_NULL));
  ok(CBB_flush(to));
}

std::string sign(const std::string& message, EVP_PKEY* key, const EVP_MD* hash) {
  bssl::ScopedEVP_MD_CTX context;
  const uint8_t* const bytes = bytes_of(message);
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
  return build([&](CBB* out) {
    CBB request;
    ok(CBB_add_asn1(out, &request, CBS_ASN1_SEQUENCE));
    add_raw(&request, info);
    add_algorithm(&request, how);
    // The first byte: no unused bits.
    add_value(&request, CBS_ASN1_BITSTRING, std::string(1, '\0') + signature);
    ok(CBB_flush(out));
  });
}

}  // namespace latchkey::acme
