#include "acme/authority/jws_key.h"

#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "acme/base64url.h"
#include "acme/der.h"
#include "acme/jws.h"
#include "acme/problem.h"
#include "base/check.h"

namespace latchkey::acme {
namespace {

constexpr unsigned kMinRsaBits = 2048;
constexpr unsigned kMaxRsaBits = 4096;     // beyond, a verification takes too long
constexpr unsigned kMaxExponentBits = 33;  // BoringSSL's bound, too

using Key = std::shared_ptr<evp_pkey_st>;
using Number = bssl::UniquePtr<BIGNUM>;

Error refused(std::string why) {
  return {ErrorCode::kInvalid, std::move(why)};
}

Number number_of(std::string_view bytes) {
  Number number(BN_bin2bn(bytes_of(bytes), bytes.size(), nullptr));
  CHECK(number != nullptr);
  return number;
}

std::string octets_of(const BIGNUM* number, size_t size) {
  std::string bytes(size, '\0');
  CHECK(BN_bn2bin_padded(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size(), number));
  return bytes;
}

Key own(EVP_PKEY* key) {
  return {key, EVP_PKEY_free};
}

struct Curve {
  std::string_view name;
  std::string_view algorithm;
  int nid;
  size_t size;  // bytes of a coordinate
};
constexpr Curve kCurves[] = {{"P-256", "ES256", NID_X9_62_prime256v1, 32},
                             {"P-384", "ES384", NID_secp384r1, 48}};

std::string canonical_ec(const Curve& curve, std::string_view x, std::string_view y) {
  return JsonObject()
      .text("crv", curve.name)
      .text("kty", "EC")
      .text("x", base64url(x))
      .text("y", base64url(y))
      .str();
}
std::string canonical_rsa(std::string_view e, std::string_view n) {
  return JsonObject().text("e", base64url(e)).text("kty", "RSA").text("n", base64url(n)).str();
}

Result<Key> ec_key(const Curve& curve, std::string_view x, std::string_view y) {
  const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve.nid));
  CHECK(ec != nullptr);
  const Number bx = number_of(x);
  const Number by = number_of(y);
  const bool on_curve = EC_KEY_set_public_key_affine_coordinates(ec.get(), bx.get(), by.get()) == 1;
  ERR_clear_error();
  if (!on_curve) {
    return refused("the JWK's \"x\" and \"y\" are no point of " + std::string(curve.name));
  }
  Key key = own(EVP_PKEY_new());
  CHECK(key != nullptr && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  return key;
}

Result<Unit> check_rsa(const BIGNUM* n, const BIGNUM* e) {
  const unsigned bits = BN_num_bits(n);
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return refused("an RSA key of " + std::to_string(bits) + " bits; 2048 to 4096 will do");
  }
  if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > kMaxExponentBits) {
    return refused("an RSA key with an unsound modulus or exponent");
  }
  return Unit{};
}

Result<Key> rsa_key(std::string_view e, std::string_view n) {
  Number modulus = number_of(n);
  Number exponent = number_of(e);
  if (Result<Unit> sound = check_rsa(modulus.get(), exponent.get()); !sound) {
    return std::move(sound).error();
  }
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  CHECK(rsa != nullptr && RSA_set0_key(rsa.get(), modulus.get(), exponent.get(), nullptr));
  static_cast<void>(modulus.release());
  static_cast<void>(exponent.release());
  Key key = own(EVP_PKEY_new());
  CHECK(key != nullptr && EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  return key;
}

bool verifies_ecdsa(const EC_KEY* ec, std::string_view message, std::string_view signature) {
  const size_t size = (EC_GROUP_get_degree(EC_KEY_get0_group(ec)) + 7) / 8;
  if (signature.size() != 2 * size) return false;
  const bssl::UniquePtr<ECDSA_SIG> numbers(ECDSA_SIG_new());
  CHECK(numbers != nullptr &&
        ECDSA_SIG_set0(numbers.get(), number_of(signature.substr(0, size)).release(),
                       number_of(signature.substr(size)).release()));
  uint8_t digest[SHA384_DIGEST_LENGTH];
  if (size == 32) {
    SHA256(bytes_of(message), message.size(), digest);
  } else {
    SHA384(bytes_of(message), message.size(), digest);
  }
  return ECDSA_do_verify(digest, size, numbers.get(), ec) == 1;
}

bool verifies_rsa(RSA* rsa, std::string_view message, std::string_view signature) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(bytes_of(message), message.size(), digest);
  return RSA_verify(NID_sha256, digest, sizeof digest, bytes_of(signature), signature.size(),
                    rsa) == 1;
}

}  // namespace

JwsKey::JwsKey(std::shared_ptr<evp_pkey_st> key, std::string_view algorithm, std::string jwk)
    : key_(std::move(key)),
      algorithm_(algorithm),
      jwk_(std::move(jwk)),
      thumbprint_(jwk_thumbprint(jwk_)) {}

Result<JwsKey> JwsKey::from_jwk(const JsonValue& jwk) {
  if (!jwk.is(JsonValue::Kind::kObject)) return refused("the JWK is no object");
  if (jwk.find("d") != nullptr) return refused("the JWK is a private key; replace that key");
  const std::string_view type = jwk.text_of("kty");
  if (type == "RSA") {
    const std::optional<std::string> e = base64url_decode(jwk.text_of("e"));
    const std::optional<std::string> n = base64url_decode(jwk.text_of("n"));
    if (!e || !n || e->empty() || n->empty() || e->front() == 0 || n->front() == 0) {
      return refused("the JWK's \"e\" and \"n\" are not numbers as RFC 7518, 6.3.1 has them");
    }
    Result<Key> key = rsa_key(*e, *n);
    if (!key) return std::move(key).error();
    return JwsKey(*std::move(key), "RS256", canonical_rsa(*e, *n));
  }
  if (type != "EC") {
    return refused("a key of type " + printable(type, 40) + "; EC and RSA will do");
  }
  for (const Curve& curve : kCurves) {
    if (curve.name != jwk.text_of("crv")) continue;
    const std::optional<std::string> x = base64url_decode(jwk.text_of("x"));
    const std::optional<std::string> y = base64url_decode(jwk.text_of("y"));
    if (!x || !y || x->size() != curve.size || y->size() != curve.size) {
      return refused("the JWK's \"x\" and \"y\" are not coordinates of " + std::string(curve.name));
    }
    Result<Key> key = ec_key(curve, *x, *y);
    if (!key) return std::move(key).error();
    return JwsKey(*std::move(key), curve.algorithm, canonical_ec(curve, *x, *y));
  }
  return refused("a key on the curve " + printable(jwk.text_of("crv"), 40) +
                 "; P-256 and P-384 will do");
}

Result<JwsKey> JwsKey::from_spki(std::string_view der) {
  CBS in;
  CBS_init(&in, bytes_of(der), der.size());
  Key key = own(EVP_parse_public_key(&in));
  ERR_clear_error();
  if (key == nullptr || CBS_len(&in) != 0) return refused("no public key that can be read");
  if (const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get())) {
    const int nid = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
    for (const Curve& curve : kCurves) {
      if (curve.nid != nid) continue;
      const Number x(BN_new());
      const Number y(BN_new());
      CHECK(EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec),
                                                x.get(), y.get(), nullptr));
      std::string jwk =
          canonical_ec(curve, octets_of(x.get(), curve.size), octets_of(y.get(), curve.size));
      return JwsKey(std::move(key), curve.algorithm, std::move(jwk));
    }
  } else if (const RSA* rsa = EVP_PKEY_get0_RSA(key.get())) {
    const BIGNUM* const n = RSA_get0_n(rsa);
    const BIGNUM* const e = RSA_get0_e(rsa);
    if (Result<Unit> sound = check_rsa(n, e); !sound) return std::move(sound).error();
    std::string jwk = canonical_rsa(octets_of(e, BN_num_bytes(e)), octets_of(n, BN_num_bytes(n)));
    return JwsKey(std::move(key), "RS256", std::move(jwk));
  }
  return refused("a key that cannot sign requests; P-256, P-384 and RSA can");
}

bool JwsKey::is_key_of(std::string_view spki) const {
  CBS in;
  CBS_init(&in, bytes_of(spki), spki.size());
  const Key other = own(EVP_parse_public_key(&in));
  const bool same = other != nullptr && EVP_PKEY_cmp(key_.get(), other.get()) == 1;
  ERR_clear_error();
  return same;
}

bool JwsKey::verifies(std::string_view message, std::string_view signature) const {
  const EC_KEY* const ec = EVP_PKEY_get0_EC_KEY(key_.get());
  const bool right = ec != nullptr
                         ? verifies_ecdsa(ec, message, signature)
                         : verifies_rsa(EVP_PKEY_get0_RSA(key_.get()), message, signature);
  ERR_clear_error();
  return right;
}

}  // namespace latchkey::acme
