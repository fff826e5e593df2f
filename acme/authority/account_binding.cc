#include "acme/authority/account_binding.h"

#include <openssl/mem.h>

#include "acme/authority/jws_verify.h"
#include "acme/jws.h"

namespace latchkey::acme {

Judged<std::string> check_binding(const JsonValue& binding, const JwsKey& key, std::string_view url,
                                  const std::map<std::string, std::string>& hmac_keys) {
  Judged<Jws> jws = parse_jws(binding, JwsUse::kBinding);
  if (!jws) {
    ServerProblem problem = std::move(jws).problem();
    problem.detail.insert(0, "the external account binding: ");
    return problem;
  }
  if (jws->url != url) {
    return malformed("the external account binding is for another URL than the request");
  }
  const Result<JsonValue> payload = parse_json(jws->payload);
  const Result<JwsKey> bound =
      payload ? JwsKey::from_jwk(*payload) : Result<JwsKey>(Error{ErrorCode::kInvalid, ""});
  if (!bound || bound->jwk() != key.jwk()) {
    return malformed("the external account binding is not for the account's key");
  }
  const auto found = hmac_keys.find(jws->kid);
  // One sentence for both, as a kid that exists is worth knowing.
  const std::string wrong =
      "the external account binding is not by a key that is known here; "
      "check the kid and the HMAC key";
  if (found == hmac_keys.end()) return unauthenticated(wrong);
  const std::string right = hmac_sha256(found->second, jws->signed_text);
  if (jws->signature.size() != right.size() ||
      CRYPTO_memcmp(right.data(), jws->signature.data(), right.size()) != 0) {
    return unauthenticated(wrong);
  }
  return std::move(jws->kid);
}

}  // namespace latchkey::acme
