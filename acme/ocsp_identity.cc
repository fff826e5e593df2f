#include "acme/ocsp_identity.h"

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>

#include "acme/der.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

std::string text_of(const CBS& bytes) {
  return {reinterpret_cast<const char*>(CBS_data(&bytes)), CBS_len(&bytes)};
}

std::shared_ptr<X509> parse(std::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  std::shared_ptr<X509> made(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  ERR_clear_error();
  return made;
}

// From the bytes themselves: what is hashed is what the CA wrote.
bool read_leaf(std::string_view der, OcspIdentity& identity) {
  CBS in;
  CBS certificate;
  CBS tbs;
  CBS serial;
  CBS name;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  if (!CBS_get_asn1(&in, &certificate, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&certificate, &tbs, CBS_ASN1_SEQUENCE) ||
      !CBS_get_optional_asn1(&tbs, nullptr, nullptr,
                             explicit_tag(0)) ||  // version
      !CBS_get_asn1(&tbs, &serial, CBS_ASN1_INTEGER) ||
      !CBS_get_asn1(&tbs, nullptr, CBS_ASN1_SEQUENCE) ||  // signature
      !CBS_get_asn1_element(&tbs, &name, CBS_ASN1_SEQUENCE)) {
    return false;
  }
  identity.serial = text_of(serial);
  identity.issuer_name = text_of(name);
  return !identity.serial.empty();
}

}  // namespace

Result<OcspIdentity> ocsp_identity(std::string_view leaf, std::string_view issuer) {
  OcspIdentity identity;
  const std::shared_ptr<X509> own = parse(leaf);
  if (own == nullptr || !read_leaf(leaf, identity)) {
    return Error{ErrorCode::kInvalid, "the certificate does not parse"};
  }
  identity.issuer = parse(issuer);
  if (identity.issuer == nullptr) {
    return Error{ErrorCode::kInvalid, "the issuer's certificate in the chain does not parse"};
  }
  identity.issuer_key.reset(X509_get_pubkey(identity.issuer.get()), EVP_PKEY_free);
  ERR_clear_error();
  if (identity.issuer_key == nullptr) {
    return Error{ErrorCode::kInvalid, "the issuer's key in the chain does not parse"};
  }
  if (X509_NAME_cmp(X509_get_issuer_name(own.get()),
                    X509_get_subject_name(identity.issuer.get())) != 0) {
    return Error{ErrorCode::kInvalid,
                 "the second certificate of the chain is not the issuer of the first; the chain "
                 "must be in order"};
  }
  identity.key_bits = key_bits_of(identity.issuer.get());
  return identity;
}

std::string digest_of(std::string_view bytes, const EVP_MD* digest) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, digest, nullptr));
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string key_bits_of(const X509* certificate) {
  const ASN1_BIT_STRING* const bits = X509_get0_pubkey_bitstr(certificate);
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(bits)),
          static_cast<size_t>(ASN1_STRING_length(bits))};
}

}  // namespace latchkey::acme
