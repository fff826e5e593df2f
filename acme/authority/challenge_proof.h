#pragma once
#include <string_view>

#include "base/result.h"
#include "base/server_name.h"

namespace latchkey::acme {

// Is this certificate (DER, any bytes) the answer of RFC 8737, 3 (addresses: RFC 8738, 6) to a
// challenge for `name`? One subjectAltName, which is `name`, and the SHA-256 of the key
// authorization in a critical acmeIdentifier. Who signed it, and its dates, do not matter.
// Errors: kProtocol: it is no challenge's certificate; kDenied: it is one, but of another name or
// key authorization. What strangers wrote is escaped and short.
Result<> check_challenge_certificate(std::string_view der, const ServerName& name,
                                     std::string_view key_authorization);

}  // namespace latchkey::acme
