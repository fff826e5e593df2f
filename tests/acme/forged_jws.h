#pragma once
// A JWS whose header says whatever a test wants, signed by a P-256 key all the same.

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <string>
#include <string_view>

#include "acme/base64url.h"
#include "acme/jws.h"
#include "base/json.h"
#include "cache/private_key.h"

namespace latchkey::acme {

inline std::string es256(const AccountKey& key, std::string_view message) {
  const PrivateKey parsed = *private_key_from_der(key.to_der());
  const std::string digest = sha256(message);
  const bssl::UniquePtr<ECDSA_SIG> signature(
      ECDSA_do_sign(reinterpret_cast<const uint8_t*>(digest.data()), digest.size(),
                    EVP_PKEY_get0_EC_KEY(parsed.get())));
  std::string bytes(64, '\0');
  auto* const out = reinterpret_cast<uint8_t*>(bytes.data());
  BN_bn2bin_padded(out, 32, ECDSA_SIG_get0_r(signature.get()));
  BN_bn2bin_padded(out + 32, 32, ECDSA_SIG_get0_s(signature.get()));
  return bytes;
}

// `header`: JSON, or not.
inline std::string forged_jws(const AccountKey& key, std::string_view header,
                              std::string_view payload) {
  const std::string first = base64url(header);
  const std::string second = base64url(payload);
  return JsonObject()
      .text("protected", first)
      .text("payload", second)
      .text("signature", base64url(es256(key, first + "." + second)))
      .str();
}

}  // namespace latchkey::acme
