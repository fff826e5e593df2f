#include "acme/ocsp_signature.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>

#include "acme/der.h"

namespace latchkey::acme {
namespace {

using namespace std::string_view_literals;

struct Algorithm {
  std::string_view oid;  // contents
  int key_type;
  const EVP_MD* (*digest)();  // null: none apart (Ed25519)
};
constexpr Algorithm kAlgorithms[] = {
    {"\x2a\x86\x48\xce\x3d\x04\x03\x02"sv, EVP_PKEY_EC, EVP_sha256},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x03"sv, EVP_PKEY_EC, EVP_sha384},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x04"sv, EVP_PKEY_EC, EVP_sha512},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"sv, EVP_PKEY_RSA, EVP_sha256},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"sv, EVP_PKEY_RSA, EVP_sha384},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"sv, EVP_PKEY_RSA, EVP_sha512},
    {"\x2b\x65\x70"sv, EVP_PKEY_ED25519, nullptr},
};
constexpr std::string_view kPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv;
constexpr std::string_view kMgf1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"sv;

struct Digest {
  std::string_view oid;
  const EVP_MD* (*digest)();
};
constexpr Digest kDigests[] = {
    {"\x60\x86\x48\x01\x65\x03\x04\x02\x01"sv, EVP_sha256},
    {"\x60\x86\x48\x01\x65\x03\x04\x02\x02"sv, EVP_sha384},
    {"\x60\x86\x48\x01\x65\x03\x04\x02\x03"sv, EVP_sha512},
};

// The SHA-2 digest that an AlgorithmIdentifier names, with NULL or no parameters; else null.
const EVP_MD* get_digest(CBS& in) {
  CBS algorithm;
  CBS oid;
  if (!CBS_get_asn1(&in, &algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT)) {
    return nullptr;
  }
  const auto* const found =
      std::find_if(std::begin(kDigests), std::end(kDigests),
                   [&](const Digest& known) { return known.oid == view(oid); });
  return found == std::end(kDigests) ? nullptr : found->digest();
}

// RSASSA-PSS-params: a SHA-2 digest, MGF1 with the same, a salt as long as that (RFC 4055; what
// TLS and the web's CAs use). Null for all else.
const EVP_MD* get_pss_digest(CBS& algorithm) {
  CBS in;
  CBS hash;
  CBS mask;
  CBS mask_algorithm;
  CBS mask_oid;
  CBS salt;
  uint64_t salt_size = 0;
  uint64_t trailer = 0;
  if (!CBS_get_asn1(&algorithm, &in, CBS_ASN1_SEQUENCE) || CBS_len(&algorithm) != 0 ||
      !CBS_get_asn1(&in, &hash, explicit_tag(0)) || !CBS_get_asn1(&in, &mask, explicit_tag(1)) ||
      !CBS_get_asn1(&in, &salt, explicit_tag(2)) ||
      !CBS_get_optional_asn1_uint64(&in, &trailer, explicit_tag(3), 1) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&mask, &mask_algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&mask_algorithm, &mask_oid, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1_uint64(&salt, &salt_size)) {
    return nullptr;
  }
  const EVP_MD* const digest = get_digest(hash);
  const bool usual = digest != nullptr && view(mask_oid) == kMgf1 &&
                     get_digest(mask_algorithm) == digest && salt_size == EVP_MD_size(digest) &&
                     trailer == 1;
  return usual ? digest : nullptr;
}

}  // namespace

Result<> verify_signature(std::string_view algorithm, std::string_view data,
                          std::string_view signature, evp_pkey_st* key) {
  CBS whole = cbs_of(algorithm);
  CBS in;
  CBS oid;
  const Error unknown{ErrorCode::kProtocol,
                      "it is signed by an algorithm that is not accepted (ECDSA, RSA and RSA-PSS "
                      "with SHA-2, and Ed25519 are)"};
  if (!CBS_get_asn1(&whole, &in, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&in, &oid, CBS_ASN1_OBJECT)) {
    return unknown;
  }
  int key_type = EVP_PKEY_RSA;
  const EVP_MD* digest = nullptr;
  const bool pss = view(oid) == kPss;
  if (pss) {
    digest = get_pss_digest(in);
    if (digest == nullptr) return unknown;
  } else {
    const auto* const found =
        std::find_if(std::begin(kAlgorithms), std::end(kAlgorithms),
                     [&](const Algorithm& known) { return known.oid == view(oid); });
    if (found == std::end(kAlgorithms)) return unknown;
    key_type = found->key_type;
    if (found->digest != nullptr) digest = found->digest();
  }
  const Error wrong{ErrorCode::kProtocol, "its signature is not right"};
  if (EVP_PKEY_id(key) != key_type) return wrong;
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* options = nullptr;
  const bool right =
      EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key) &&
      (!pss || (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(options, -1))) &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()),
                       signature.size(), reinterpret_cast<const uint8_t*>(data.data()),
                       data.size());
  ERR_clear_error();
  if (!right) return wrong;
  return Unit{};
}

}  // namespace latchkey::acme
