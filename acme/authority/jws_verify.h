#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "acme/authority/jws_key.h"
#include "acme/authority/server_problem.h"

namespace latchkey::acme {

// A flattened JWS (RFC 7515, 7.2.2) as RFC 8555 lets it be, taken apart; not verified.
struct Jws {
  std::string algorithm;
  std::string nonce;  // "": none (then the request has none)
  std::string url;
  std::string kid;  // "": `jwk` is there, else it is not
  std::optional<JwsKey> jwk{};
  std::string payload;      // decoded; "" of a POST-as-GET
  std::string signed_text;  // what the signature is over
  std::string signature;    // decoded
};

// Whose rules hold for it.
enum class JwsUse {
  kRequest,    // RFC 8555, 6.2
  kKeyChange,  // the inner one of 7.3.5: "jwk", no nonce
  kBinding,    // the inner one of 7.3.4: HS256 and "kid", no nonce
};

// Untrusted. badSignatureAlgorithm, badPublicKey or malformed. That the algorithm is the key's is
// seen to for a "jwk".
// `check`: asked as soon as all but the key has been read, with `url` and `nonce`; so that who has
// no nonce of ours costs no parsing of a key.
using JwsCheck = std::function<Judged<>(const Jws&)>;
Judged<Jws> parse_jws(std::string_view text, JwsUse use = JwsUse::kRequest,
                      const JwsCheck& check = nullptr);
Judged<Jws> parse_jws(const JsonValue& object, JwsUse use, const JwsCheck& check = nullptr);

// Is it signed by that key, and by the key's own algorithm?
Judged<> verify_jws(const Jws& jws, const JwsKey& key);

}  // namespace latchkey::acme
