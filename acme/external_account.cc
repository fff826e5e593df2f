#include "acme/external_account.h"

#include "acme/base64url.h"
#include "base/json.h"

namespace latchkey::acme {

std::string external_account_binding(const ExternalAccount& external, const AccountKey& key,
                                     std::string_view url) {
  JsonObject header;
  header.text("alg", "HS256").text("kid", external.kid).text("url", url);
  const std::string protected_part = base64url(header.str());
  const std::string payload = base64url(key.jwk());
  const std::string signature = hmac_sha256(external.hmac_key, protected_part + "." + payload);
  return JsonObject()
      .text("protected", protected_part)
      .text("payload", payload)
      .text("signature", base64url(signature))
      .str();
}

}  // namespace latchkey::acme
