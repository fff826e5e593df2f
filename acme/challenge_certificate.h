#pragma once
#include <string_view>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey::acme {

// RFC 8737, 3 (and RFC 8738, 6): a self-signed certificate for `name` with the SHA-256 of
// `key_authorization` in the critical acmeIdentifier extension.
Result<CertificatePtr> make_challenge_certificate(const ServerName& name,
                                                  std::string_view key_authorization);

}  // namespace latchkey::acme
