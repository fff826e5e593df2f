#include "acme/jws.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/sha.h>

#include "acme/base64url.h"
#include "base/check.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr size_t kCoordinate = 32;  // bytes of a P-256 number

const EC_KEY* p256_of(const PrivateKey& key) {
  const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get());
  if (ec == nullptr) return nullptr;
  return EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1 ? ec : nullptr;
}

std::string padded(const BIGNUM* number) {
  std::string bytes(kCoordinate, '\0');
  CHECK(BN_bn2bin_padded(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size(), number));
  return bytes;
}

std::string jwk_of(const EC_KEY* ec) {
  const bssl::UniquePtr<BIGNUM> x(BN_new());
  const bssl::UniquePtr<BIGNUM> y(BN_new());
  CHECK(EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec),
                                            x.get(), y.get(), nullptr));
  return JsonObject()
      .text("crv", "P-256")
      .text("kty", "EC")
      .text("x", base64url(padded(x.get())))
      .text("y", base64url(padded(y.get())))
      .str();
}

// RFC 7518, 3.4: the two numbers side by side, not X9.62's DER.
std::string es256(const EC_KEY* ec, std::string_view message) {
  const std::string digest = sha256(message);
  const bssl::UniquePtr<ECDSA_SIG> signature(
      ECDSA_do_sign(reinterpret_cast<const uint8_t*>(digest.data()), digest.size(), ec));
  CHECK(signature != nullptr);
  return padded(ECDSA_SIG_get0_r(signature.get())) + padded(ECDSA_SIG_get0_s(signature.get()));
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
         reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

std::string jwk_thumbprint(std::string_view canonical_jwk) {
  return base64url(sha256(canonical_jwk));
}

AccountKey::AccountKey(PrivateKey key)
    : key_(std::move(key)), jwk_(jwk_of(p256_of(key_))), thumbprint_(jwk_thumbprint(jwk_)) {}

AccountKey AccountKey::generate() {
  return AccountKey(generate_p256_key());
}

Result<AccountKey> AccountKey::from_der(std::string_view der) {
  Result<PrivateKey> key = private_key_from_der(der);
  if (!key) return std::move(key).error();
  if (p256_of(*key) == nullptr) return Error{ErrorCode::kInvalid, "not an ECDSA P-256 key"};
  return AccountKey(*std::move(key));
}

std::string AccountKey::to_der() const {
  return private_key_to_der(key_);
}

std::string AccountKey::sign(std::string_view url, std::string_view nonce, std::string_view kid,
                             std::string_view payload) const {
  JsonObject header;
  header.text("alg", "ES256").text("nonce", nonce).text("url", url);
  if (kid.empty()) {
    header.raw("jwk", jwk_);
  } else {
    header.text("kid", kid);
  }
  const std::string protected_part = base64url(header.str());
  const std::string payload_part = base64url(payload);
  return JsonObject()
      .text("protected", protected_part)
      .text("payload", payload_part)
      .text("signature", base64url(es256(p256_of(key_), protected_part + "." + payload_part)))
      .str();
}

}  // namespace latchkey::acme
