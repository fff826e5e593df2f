#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/private_key.h"

namespace latchkey::acme {

// A key that signs requests to a CA: an account's, or a certificate's for its own revocation. Ours
// are P-256; an account that was brought along may have P-384 or RSA. Cheap to copy; immutable.
class AccountKey {
 public:
  static AccountKey generate();
  // PKCS#8. kInvalid for what is not P-256 (ES256), P-384 (ES384) or RSA of 2048 bits and more
  // (RS256).
  static Result<AccountKey> from_der(std::string_view der);
  static Result<AccountKey> from_key(PrivateKey key);
  std::string to_der() const;  // a secret

  // The public half as RFC 7638 wants it: the required members only, sorted, no spaces.
  const std::string& jwk() const { return jwk_; }
  // What stands behind the token in a challenge's key authorization (RFC 8555, 8.1).
  const std::string& thumbprint() const { return thumbprint_; }

  // A flattened JWS (RFC 8555, 6.2) over `payload`; "" makes a POST-as-GET. `kid`: the account
  // URL, or "" to introduce the key itself ("jwk"), as newAccount must.
  std::string sign(std::string_view url, std::string_view nonce, std::string_view kid,
                   std::string_view payload) const;
  // The JWS inside a keyChange (RFC 8555, 7.3.5): the key introduces itself, and there is no nonce.
  std::string sign_inner(std::string_view url, std::string_view payload) const;

 private:
  explicit AccountKey(PrivateKey key);
  std::string signed_object(std::string_view header, std::string_view payload) const;

  PrivateKey key_;
  std::string_view algorithm_;  // as JWS names it
  std::string jwk_;
  std::string thumbprint_;
};

// RFC 7638 of a JWK that is already in its canonical form.
std::string jwk_thumbprint(std::string_view canonical_jwk);

std::string sha256(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view message);

}  // namespace latchkey::acme
