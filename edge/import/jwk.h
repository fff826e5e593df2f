#pragma once
#include "base/json.h"
#include "base/result.h"
#include "cache/private_key.h"

namespace latchkey::edge {

// The private key of a JWK (RFC 7517; RFC 7518, 6.2 and 6.3): RSA with its factors, or EC over
// P-256 and P-384. The errors (kInvalid) quote nothing of it.
Result<PrivateKey> private_key_from_jwk(const JsonValue& jwk);

}  // namespace latchkey::edge
