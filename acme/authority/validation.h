#pragma once
#include <cstdint>
#include <string>

#include "acme/authority/probes.h"
#include "acme/order.h"
#include "base/clock.h"
#include "base/server_name.h"
#include "base/task.h"

namespace latchkey::acme {

// What the applicant's answer to a challenge must show.
struct Validation {
  ChallengeType type = ChallengeType::kHttp01;
  ServerName name;  // for a wildcard the name without "*."
  std::string token;
  std::string key_authorization;  // RFC 8555, 8.1
  uint16_t http_port = 80;
  uint16_t tls_port = 443;
};

struct ValidationResult {
  bool valid = false;
  // A problem's of RFC 8555, 6.7. "dns", "connection", "tls": nothing could be looked at.
  // "incorrectResponse": an answer, but not of the challenge's form; "unauthorized": of its form,
  // but it does not show the applicant's key authorization.
  std::string type{};
  std::string detail{};  // for the client; names what was looked at and what was found (shortened)
};

// Looks once: RFC 8555, 8.3 and 8.4, RFC 8737, 3, RFC 8738. Never fails as a task. Ends within 30
// s. At most 10 redirects are followed, to host names, by http and https, and there to the ports
// 80, 443 and the configured ones only; what they lead to is never shown, for it may be none of the
// applicant's business.
Task<ValidationResult> validate(Validation what, Probes& probes, Clock& clock);

}  // namespace latchkey::acme
