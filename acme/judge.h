#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey::acme {

struct Judged {
  CertificatePtr certificate;
  std::vector<std::string> warnings;  // for the log
};

// Looks at what a CA handed out before anybody stores or serves it. Refused (kProtocol, saying
// which and why): what is not PEM of 1 to 10 certificates in at most 128 KiB, a leaf without `name`
// or for another key, not valid at `now` (a not_before up to 5 minutes ahead is our clock's
// fault), a chain that is not in order, each signed by the next. Warned of: a leaf that outlives
// an issuer, an issuer that has expired.
Result<Judged> judge(std::string_view chain_pem, const ServerName& name, const PrivateKey& key,
                     WallTime now);

}  // namespace latchkey::acme
