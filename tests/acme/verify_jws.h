#pragma once
// The receiving end of a JWS, for tests.

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>

#include <string>
#include <string_view>

#include "acme/base64url.h"
#include "acme/jws.h"
#include "base/json.h"

namespace latchkey::acme {

// Is `signature` (raw r and s) one over `message` by the P-256 key with these coordinates?
inline bool verify_es256(std::string_view x, std::string_view y, std::string_view message,
                         std::string_view signature) {
  const auto number = [](std::string_view bytes) {
    return bssl::UniquePtr<BIGNUM>(
        BN_bin2bn(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), nullptr));
  };
  if (signature.size() != 64) return false;
  const bssl::UniquePtr<EC_KEY> key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  const auto bx = number(x);
  const auto by = number(y);
  if (!EC_KEY_set_public_key_affine_coordinates(key.get(), bx.get(), by.get())) return false;
  const bssl::UniquePtr<ECDSA_SIG> sig(ECDSA_SIG_new());
  if (!ECDSA_SIG_set0(sig.get(), number(signature.substr(0, 32)).release(),
                      number(signature.substr(32)).release())) {
    return false;
  }
  const std::string digest = sha256(message);
  return ECDSA_do_verify(reinterpret_cast<const uint8_t*>(digest.data()), digest.size(), sig.get(),
                         key.get()) == 1;
}

struct OpenedJws {
  bool valid = false;  // of the right shape, and signed by the key in `jwk`
  JsonValue header;
  std::string payload;
};

// `jwk`: the key to verify with; "" to use the one in the header.
inline OpenedJws open_jws(std::string_view text, std::string_view jwk) {
  OpenedJws opened;
  const Result<JsonValue> jws = parse_json(text);
  if (!jws) return opened;
  const auto header = base64url_decode(jws->text_of("protected"));
  const auto payload = base64url_decode(jws->text_of("payload"));
  const auto signature = base64url_decode(jws->text_of("signature"));
  if (!header || !payload || !signature) return opened;
  Result<JsonValue> parsed = parse_json(*header);
  if (!parsed || parsed->text_of("alg") != "ES256") return opened;
  opened.header = *parsed;
  opened.payload = *payload;
  JsonValue key;
  if (!jwk.empty()) {
    key = *parse_json(jwk);
  } else if (const JsonValue* own = opened.header.find("jwk")) {
    key = *own;
  }
  const auto x = base64url_decode(key.text_of("x"));
  const auto y = base64url_decode(key.text_of("y"));
  if (!x || !y) return opened;
  const std::string message =
      std::string(jws->text_of("protected")) + "." + std::string(jws->text_of("payload"));
  opened.valid = verify_es256(*x, *y, message, *signature);
  return opened;
}

}  // namespace latchkey::acme
