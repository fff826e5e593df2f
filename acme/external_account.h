#pragma once
#include <string>
#include <string_view>

#include "acme/jws.h"

namespace latchkey::acme {

// What a CA gave us to bind our account to one that we have there by other means.
struct ExternalAccount {
  std::string kid;
  std::string hmac_key;  // decoded; a secret
};

// The "externalAccountBinding" of a newAccount at `url` (RFC 8555, 7.3.4): a JWS by HS256 over the
// account's public key.
std::string external_account_binding(const ExternalAccount& external, const AccountKey& key,
                                     std::string_view url);

}  // namespace latchkey::acme
