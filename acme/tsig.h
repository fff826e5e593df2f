#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/dns_message.h"
#include "base/result.h"

namespace latchkey::acme {

// A key that we share with a name server (RFC 8945).
struct TsigKey {
  std::string name;       // as in the server's configuration
  std::string algorithm;  // one that tsig_knows()
  std::string secret;     // its bytes; a secret
};

// hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512.
bool tsig_knows(std::string_view algorithm);

// A signed request, and what it takes to verify the answer to it.
struct TsigRequest {
  std::string bytes;
  std::string mac;
};

// Adds the signature at the end. Error: kInvalid (the key's name or algorithm).
Result<TsigRequest> tsig_sign(const TsigKey& key, std::string message, WallTime now);

// `message`: parsed from `bytes`. Success: it answers that request, was made by who has the key,
// and not long ago. Errors: kInvalid where the server does not take our key, signature or time;
// kProtocol where the answer cannot be trusted. They say what to do, and never the secret.
Result<> tsig_verify(const TsigKey& key, const TsigRequest& request, std::string_view bytes,
                     const DnsMessage& message, WallTime now);

}  // namespace latchkey::acme
