#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

struct evp_pkey_st;  // BoringSSL's EVP_PKEY

namespace latchkey::acme {

// A public key with which strangers sign their requests: P-256 (ES256), P-384 (ES384), RSA of 2048
// to 4096 bits (RS256). Parsed once; cheap to copy; immutable.
class JwsKey {
 public:
  // Untrusted (RFC 7517, RFC 7518, 6). kInvalid: why it will not do. Numbers must be spelled as
  // RFC 7518 says, as the thumbprint is of the spelling.
  static Result<JwsKey> from_jwk(const JsonValue& jwk);
  // DER of a SubjectPublicKeyInfo.
  static Result<JwsKey> from_spki(std::string_view der);

  std::string_view algorithm() const { return algorithm_; }
  const std::string& jwk() const { return jwk_; }                // canonical (RFC 7638)
  const std::string& thumbprint() const { return thumbprint_; }  // of that
  // Is that DER of the same key?
  bool is_key_of(std::string_view spki) const;
  // `signature` as JWS has it: the two numbers of ECDSA side by side.
  bool verifies(std::string_view message, std::string_view signature) const;

 private:
  JwsKey(std::shared_ptr<evp_pkey_st> key, std::string_view algorithm, std::string jwk);

  std::shared_ptr<evp_pkey_st> key_;
  std::string_view algorithm_;
  std::string jwk_;
  std::string thumbprint_;
};

}  // namespace latchkey::acme
