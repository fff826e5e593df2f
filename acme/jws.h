#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/private_key.h"

namespace latchkey::acme {

// The key of an ACME account (P-256, ES256). Cheap to copy; immutable.
class AccountKey {
 public:
  static AccountKey generate();
  // PKCS#8. kInvalid for what is not a P-256 key.
  static Result<AccountKey> from_der(std::string_view der);
  std::string to_der() const;  // a secret

  // The public half as RFC 7638 wants it: the required members only, sorted, no spaces.
  const std::string& jwk() const { return jwk_; }
  // What stands behind the token in a challenge's key authorization (RFC 8555, 8.1).
  const std::string& thumbprint() const { return thumbprint_; }

  // A flattened JWS (RFC 8555, 6.2) over `payload`; "" makes a POST-as-GET. `kid`: the account
  // URL, or "" to introduce the key itself ("jwk"), as newAccount must.
  std::string sign(std::string_view url, std::string_view nonce, std::string_view kid,
                   std::string_view payload) const;

 private:
  explicit AccountKey(PrivateKey key);

  PrivateKey key_;
  std::string jwk_;
  std::string thumbprint_;
};

// RFC 7638 of a JWK that is already in its canonical form.
std::string jwk_thumbprint(std::string_view canonical_jwk);

std::string sha256(std::string_view bytes);

}  // namespace latchkey::acme
