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
// which and why):
// - what is not PEM of 1 to 10 different certificates in at most 128 KiB;
// - a leaf for another key, for other names than `name` (also beside it: who asked for one name
//   answers for one), not valid at `now` (a not_before up to 5 minutes ahead is our clock's fault),
//   that is a CA's certificate, or that a TLS server may not use (its key usages, where it has
//   them);
// - a chain that is not in order, each signed by the next.
// Warned of: a leaf that outlives an issuer, an issuer that has expired, a serial number that RFC
// 5280 forbids, a leaf that must be served with a staple and names no responder (RFC 7633).
Result<Judged> judge(std::string_view chain_pem, const ServerName& name, const PrivateKey& key,
                     WallTime now);

}  // namespace latchkey::acme
