#pragma once
#include <string>
#include <string_view>

#include "acme/problem.h"
#include "base/clock.h"
#include "base/task.h"

namespace latchkey::acme {

// What a request to a CA is for: the CA limits, and holds us off, by these.
enum class Resource {
  kDirectory,
  kNewNonce,
  kNewAccount,
  kNewOrder,
  kOrder,  // polling
  kAuthorization,
  kChallenge,
  kFinalize,
  kCertificate,
  kAccount,  // changes of our account: "account", "keyChange" are one
  kRevocation,
  kRenewalInfo,
};
std::string_view to_string(Resource resource);  // as directories have it: "newNonce", "newOrder"

// Which of its limits a CA's rateLimited problem is about.
enum class LimitScope {
  kResource,      // the resource as a whole; also whatever is not understood
  kAccount,       // new orders of this account
  kDomain,        // certificates under a registered domain
  kIdentifiers,   // certificates for the very same names
  kNameFailures,  // failed authorizations of a name, or a name that the CA has paused
};
std::string_view to_string(LimitScope scope);  // "resource", "account", "domain", …

// A CA told us to stay away.
struct Throttle {
  Resource resource = Resource::kNewOrder;
  LimitScope scope = LimitScope::kResource;
  // The domain or name that it is about, or ""; the name that was ordered where the CA does not
  // say, also for kDomain: the registered domain of the subject is what is meant.
  std::string subject{};
  Millis wait{0};  // from now; its Retry-After, or a minute where it gave none
};

// Let's Encrypt's wordings are known; what is not understood is about the resource. `about`: the
// name that was ordered, or "".
Throttle classify_throttle(Resource resource, const Problem& problem, std::string_view about = {});

// Paces the requests to one CA. Control thread.
class Pacer {
 public:
  virtual ~Pacer() = default;
  // Before each request: waits for its turn, or fails (kThrottled with retry_after) where that is
  // longer than a moment or the CA has told us to stay away. Takes a token.
  virtual Task<> before(Resource resource) = 0;
  // After each answer that was a 429, or a 503 with Retry-After.
  virtual void throttled(const Throttle& throttle) = 0;
};

}  // namespace latchkey::acme
