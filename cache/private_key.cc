#include "cache/private_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace latchkey {
namespace {

constexpr size_t kMaxKeyBytes = 64 << 10;  // of DER or PEM; an RSA key of 16384 bits has 10 KiB

PrivateKey share(bssl::UniquePtr<EVP_PKEY> key) {
  return {key.release(), EVP_PKEY_free};
}

Result<PrivateKey> usable(bssl::UniquePtr<EVP_PKEY> key) {
  const int type = EVP_PKEY_id(key.get());
  if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519) {
    return Error{ErrorCode::kInvalid,
                 "the private key is of a type that TLS does not sign with; use ECDSA or RSA"};
  }
  if (type == EVP_PKEY_EC) {
    // RFC 8446, 4.2.3: others parse, and every handshake with one would fail.
    constexpr std::array kCurves{NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};
    const EC_KEY* const ec = EVP_PKEY_get0_EC_KEY(key.get());
    const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
    if (std::find(kCurves.begin(), kCurves.end(), curve) == kCurves.end()) {
      return Error{ErrorCode::kInvalid,
                   "the private key is over a curve that TLS does not sign with; use P-256"};
    }
  }
  return share(std::move(key));
}

PrivateKey generate_ec_key(int curve) {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  CHECK(ec != nullptr && EC_KEY_generate_key(ec.get()));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(key != nullptr && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  return share(std::move(key));
}

}  // namespace

PrivateKey generate_p256_key() {
  return generate_ec_key(NID_X9_62_prime256v1);
}

PrivateKey generate_p384_key() {
  return generate_ec_key(NID_secp384r1);
}

PrivateKey generate_rsa2048_key() {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> exponent(BN_new());
  CHECK(rsa != nullptr && exponent != nullptr && BN_set_word(exponent.get(), RSA_F4) &&
        RSA_generate_key_ex(rsa.get(), 2048, exponent.get(), nullptr));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(key != nullptr && EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  return share(std::move(key));
}

std::string key_type_of(const PrivateKey& key) {
  const std::string bits = std::to_string(EVP_PKEY_bits(key.get()));
  switch (EVP_PKEY_id(key.get())) {
    case EVP_PKEY_EC:
      return "p" + bits;
    case EVP_PKEY_RSA:
      return "rsa" + bits;
    default:
      return "ed25519";
  }
}

std::string public_key_to_der(const PrivateKey& key) {
  bssl::ScopedCBB builder;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  CHECK(CBB_init(builder.get(), 128) == 1 &&
        EVP_marshal_public_key(builder.get(), key.get()) == 1 &&
        CBB_finish(builder.get(), &bytes, &size) == 1);
  const bssl::UniquePtr<uint8_t> owner(bytes);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

std::string private_key_to_der(const PrivateKey& key) {
  bssl::ScopedCBB cbb;
  uint8_t* bytes = nullptr;
  size_t length = 0;
  CHECK(CBB_init(cbb.get(), 256) && EVP_marshal_private_key(cbb.get(), key.get()) &&
        CBB_finish(cbb.get(), &bytes, &length));
  std::string der(reinterpret_cast<const char*>(bytes), length);
  OPENSSL_free(bytes);  // which zeroises
  return der;
}

Result<PrivateKey> private_key_from_der(std::string_view der) {
  if (der.size() > kMaxKeyBytes) return Error{ErrorCode::kInvalid, "the private key is too long"};
  CBS cbs;
  CBS_init(&cbs, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  bssl::UniquePtr<EVP_PKEY> key(EVP_parse_private_key(&cbs));
  ERR_clear_error();
  if (key == nullptr || CBS_len(&cbs) != 0) {
    return Error{ErrorCode::kInvalid, "the private key is not PKCS#8 in DER"};
  }
  return usable(std::move(key));
}

Result<PrivateKey> private_key_from_pem(std::string_view pem) {
  if (pem.size() > kMaxKeyBytes) return Error{ErrorCode::kInvalid, "the private key is too long"};
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(bio != nullptr);
  bool encrypted = false;
  const auto no_password = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return 0;
  };
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &encrypted));
  ERR_clear_error();
  if (encrypted) {
    return Error{ErrorCode::kInvalid, "the private key is encrypted; give it without a password"};
  }
  if (key == nullptr) {
    return Error{ErrorCode::kInvalid, "no readable private key in the PEM (PKCS#8, SEC1, PKCS#1)"};
  }
  return usable(std::move(key));
}

}  // namespace latchkey
