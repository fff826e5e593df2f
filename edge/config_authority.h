#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme/authority/lifetimes.h"

namespace latchkey::edge {

// What a CA gave the operator to bind his account there to; of the embedded ACME server's keys:
// what he gives to others.
struct EabConfig {
  std::string kid;
  std::string hmac_key_file;  // base64url
};

// issuers[].authority: a CA inside this program.
struct AuthorityConfig {
  acme::Lifetimes lifetimes{};
  std::vector<std::string> allow{};  // that it signs in-process; empty: all that policy allows
};

// acme_server: an embedded authority for other machines.
struct AcmeServerConfig {
  std::vector<std::string> hosts{};
  std::vector<std::string> allow{};        // names, "*.suffix", addresses and their ranges
  std::optional<std::string> authority{};  // an issuer's name; none: the first that is one
  bool eab_required = false;
  std::vector<EabConfig> eab_keys{};
  int64_t http_port = 80;  // where challenges are looked for
  int64_t tls_port = 443;
  std::string resolvers{};  // as Resolver::Options has them
  bool trusting = false;    // nobody is looked at: for load tests, on loopback
};

}  // namespace latchkey::edge
