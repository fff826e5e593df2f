#include "acme/jws.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "acme/base64url.h"
#include "base/check.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // beyond, a signature takes too long

// What RFC 7518 calls it; "" for a key that ACME does not know.
std::string_view algorithm_of(const PrivateKey& key) {
  if (key == nullptr) return {};
  if (const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get())) {
    const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
    if (curve == NID_X9_62_prime256v1) return "ES256";
    return curve == NID_secp384r1 ? "ES384" : "";
  }
  const bool rsa = EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
  const int bits = EVP_PKEY_bits(key.get());
  return rsa && bits >= kMinRsaBits && bits <= kMaxRsaBits ? "RS256" : "";
}

std::string bytes_of(const BIGNUM* number, size_t size) {
  std::string bytes(size, '\0');
  CHECK(BN_bn2bin_padded(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size(), number));
  return bytes;
}

// Bytes of a number of its curve.
size_t coordinate_of(const EC_KEY* ec) {
  return (EC_GROUP_get_degree(EC_KEY_get0_group(ec)) + 7) / 8;
}

std::string jwk_of(const RSA* rsa) {
  const BIGNUM* n = RSA_get0_n(rsa);
  const BIGNUM* e = RSA_get0_e(rsa);
  return JsonObject()
      .text("e", base64url(bytes_of(e, BN_num_bytes(e))))
      .text("kty", "RSA")
      .text("n", base64url(bytes_of(n, BN_num_bytes(n))))
      .str();
}

std::string jwk_of(const EC_KEY* ec) {
  const bssl::UniquePtr<BIGNUM> x(BN_new());
  const bssl::UniquePtr<BIGNUM> y(BN_new());
  CHECK(EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec),
                                            x.get(), y.get(), nullptr));
  const size_t size = coordinate_of(ec);
  return JsonObject()
      .text("crv", size == 32 ? "P-256" : "P-384")
      .text("kty", "EC")
      .text("x", base64url(bytes_of(x.get(), size)))
      .text("y", base64url(bytes_of(y.get(), size)))
      .str();
}

std::string jwk_of(const PrivateKey& key) {
  if (const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get())) return jwk_of(ec);
  return jwk_of(EVP_PKEY_get0_RSA(key.get()));
}

// RFC 7518, 3.4: the two numbers side by side, not X9.62's DER.
std::string ecdsa(const EC_KEY* ec, std::string_view message) {
  std::string digest = sha256(message);
  if (coordinate_of(ec) > 32) {
    digest.resize(SHA384_DIGEST_LENGTH);
    SHA384(reinterpret_cast<const uint8_t*>(message.data()), message.size(),
           reinterpret_cast<uint8_t*>(digest.data()));
  }
  const bssl::UniquePtr<ECDSA_SIG> signature(
      ECDSA_do_sign(reinterpret_cast<const uint8_t*>(digest.data()), digest.size(), ec));
  CHECK(signature != nullptr);
  const size_t size = coordinate_of(ec);
  return bytes_of(ECDSA_SIG_get0_r(signature.get()), size) +
         bytes_of(ECDSA_SIG_get0_s(signature.get()), size);
}

// RFC 7518, 3.3.
std::string rs256(RSA* rsa, std::string_view message) {
  const std::string digest = sha256(message);
  std::string signature(RSA_size(rsa), '\0');
  unsigned size = 0;
  CHECK(RSA_sign(NID_sha256, reinterpret_cast<const uint8_t*>(digest.data()),
                 static_cast<unsigned>(digest.size()), reinterpret_cast<uint8_t*>(signature.data()),
                 &size, rsa));
  signature.resize(size);
  return signature;
}

std::string signature_of(const PrivateKey& key, std::string_view message) {
  if (const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get())) return ecdsa(ec, message);
  return rs256(EVP_PKEY_get0_RSA(key.get()), message);
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
         reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string tag(SHA256_DIGEST_LENGTH, '\0');
  unsigned size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(message.data()),
             message.size(), reinterpret_cast<uint8_t*>(tag.data()), &size) != nullptr);
  return tag;
}

std::string jwk_thumbprint(std::string_view canonical_jwk) {
  return base64url(sha256(canonical_jwk));
}

AccountKey::AccountKey(PrivateKey key)
    : key_(std::move(key)),
      algorithm_(algorithm_of(key_)),
      jwk_(jwk_of(key_)),
      thumbprint_(jwk_thumbprint(jwk_)) {}

AccountKey AccountKey::generate() {
  return AccountKey(generate_p256_key());
}

Result<AccountKey> AccountKey::from_key(PrivateKey key) {
  if (algorithm_of(key).empty()) {
    return Error{ErrorCode::kInvalid,
                 "not a key that ACME knows: ECDSA P-256 or P-384, RSA of 2048 to 8192 bits"};
  }
  return AccountKey(std::move(key));
}

Result<AccountKey> AccountKey::from_der(std::string_view der) {
  Result<PrivateKey> key = private_key_from_der(der);
  if (!key) return std::move(key).error();
  return from_key(*std::move(key));
}

std::string AccountKey::to_der() const {
  return private_key_to_der(key_);
}

std::string AccountKey::sign(std::string_view url, std::string_view nonce, std::string_view kid,
                             std::string_view payload) const {
  JsonObject header;
  header.text("alg", algorithm_).text("nonce", nonce).text("url", url);
  if (kid.empty()) {
    header.raw("jwk", jwk_);
  } else {
    header.text("kid", kid);
  }
  return signed_object(header.str(), payload);
}

std::string AccountKey::sign_inner(std::string_view url, std::string_view payload) const {
  JsonObject header;
  header.text("alg", algorithm_).raw("jwk", jwk_).text("url", url);
  return signed_object(header.str(), payload);
}

std::string AccountKey::signed_object(std::string_view header, std::string_view payload) const {
  const std::string protected_part = base64url(header);
  const std::string payload_part = base64url(payload);
  return JsonObject()
      .text("protected", protected_part)
      .text("payload", payload_part)
      .text("signature", base64url(signature_of(key_, protected_part + "." + payload_part)))
      .str();
}

}  // namespace latchkey::acme
