#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/grant.h"

namespace latchkey {

enum class Verdict {
  kAllow,
  kDeny,
  kUnknown,  // could not be found out: never treated as a denial, never remembered as one
};
std::string_view to_string(Verdict verdict);  // "allowed", "denied", "unknown"

// Who decided.
enum class VerdictSource {
  kAllowlistExact,
  kAllowlistSuffix,
  kGuard,       // a rule for names on demand (policy/name_guard.h)
  kNoEndpoint,  // not in the allowlist, and nobody to ask
  kAsk,         // the endpoint, just now
  kRemembered,  // the endpoint, some time ago
  kStale,       // ... longer ago than its word holds, for want of a newer one
};
std::string_view to_string(VerdictSource source);

struct Decision {
  Verdict verdict = Verdict::kUnknown;
  std::string reason;  // for people: "allowlist", "the ask endpoint answered 403"
  VerdictSource source = VerdictSource::kAsk;
  GrantPtr grant{};  // what the endpoint said beside yes, or null
  // When the endpoint is to be asked again; max for what no endpoint decided.
  WallTime fresh_until = WallTime::max();
  // With kUnknown: not to be asked again before so long; 0: nobody said.
  Millis retry_after{0};

  bool from_ask() const {
    return source == VerdictSource::kAsk || source == VerdictSource::kRemembered ||
           source == VerdictSource::kStale;
  }
};

}  // namespace latchkey
