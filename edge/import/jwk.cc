#include "edge/import/jwk.h"

#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>

#include <optional>
#include <string>

#include "acme/base64url.h"
#include "cache/secret_box.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxNumber = 16'384 / 8;  // bytes of one of the numbers

Error bad(const char* what) {
  return {ErrorCode::kInvalid, what};
}

// A member in base64url, as a number; null when it is none.
bssl::UniquePtr<BIGNUM> number(const JsonValue& jwk, std::string_view key) {
  std::string text(jwk.text_of(key));
  while (text.ends_with('=')) text.pop_back();  // some write it
  std::optional<std::string> bytes = acme::base64url_decode(text);
  wipe(text);
  if (!bytes || bytes->empty() || bytes->size() > kMaxNumber) return nullptr;
  bssl::UniquePtr<BIGNUM> out(
      BN_bin2bn(reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size(), nullptr));
  wipe(*bytes);
  return out;
}

Result<PrivateKey> shared(bssl::UniquePtr<EVP_PKEY> key) {
  if (key == nullptr) return bad("the key cannot be used");
  return PrivateKey(key.release(), EVP_PKEY_free);
}

Result<PrivateKey> rsa_key(const JsonValue& jwk) {
  auto n = number(jwk, "n"), e = number(jwk, "e"), d = number(jwk, "d");
  auto p = number(jwk, "p"), q = number(jwk, "q");
  auto dp = number(jwk, "dp"), dq = number(jwk, "dq"), qi = number(jwk, "qi");
  if (!n || !e || !d || !p || !q || !dp || !dq || !qi) {
    return bad("the RSA key lacks one of its numbers");
  }
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  if (rsa == nullptr) return bad("the key cannot be used");
  // They take the numbers where they succeed, and given all of them they do.
  if (RSA_set0_key(rsa.get(), n.get(), e.get(), d.get())) {
    for (auto* const taken : {&n, &e, &d}) static_cast<void>(taken->release());
  }
  if (RSA_set0_factors(rsa.get(), p.get(), q.get())) {
    for (auto* const taken : {&p, &q}) static_cast<void>(taken->release());
  }
  if (RSA_set0_crt_params(rsa.get(), dp.get(), dq.get(), qi.get())) {
    for (auto* const taken : {&dp, &dq, &qi}) static_cast<void>(taken->release());
  }
  if (!RSA_check_key(rsa.get())) return bad("the RSA key's numbers do not fit together");
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (key == nullptr || !EVP_PKEY_set1_RSA(key.get(), rsa.get())) {
    return bad("the key cannot be used");
  }
  return shared(std::move(key));
}

Result<PrivateKey> ec_key(const JsonValue& jwk) {
  const std::string_view curve = jwk.text_of("crv");
  const int nid = curve == "P-256"   ? NID_X9_62_prime256v1
                  : curve == "P-384" ? NID_secp384r1
                                     : NID_undef;
  if (nid == NID_undef) return bad("the key is over a curve other than P-256 and P-384");
  const auto x = number(jwk, "x"), y = number(jwk, "y"), d = number(jwk, "d");
  if (!x || !y || !d) return bad("the EC key lacks one of its numbers");
  const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(nid));
  if (ec == nullptr || !EC_KEY_set_private_key(ec.get(), d.get()) ||
      !EC_KEY_set_public_key_affine_coordinates(ec.get(), x.get(), y.get()) ||
      !EC_KEY_check_key(ec.get())) {
    return bad("the EC key's numbers do not fit together");
  }
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (key == nullptr || !EVP_PKEY_set1_EC_KEY(key.get(), ec.get()))
    return bad("the key cannot be used");
  return shared(std::move(key));
}

}  // namespace

Result<PrivateKey> private_key_from_jwk(const JsonValue& jwk) {
  const std::string_view kind = jwk.text_of("kty");
  Result<PrivateKey> key = kind == "RSA"  ? rsa_key(jwk)
                           : kind == "EC" ? ec_key(jwk)
                                          : bad("the key is neither RSA nor EC");
  ERR_clear_error();
  return key;
}

}  // namespace latchkey::edge
