#include "policy/verdict.h"

namespace latchkey {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllow:
      return "allowed";
    case Verdict::kDeny:
      return "denied";
    case Verdict::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view to_string(VerdictSource source) {
  switch (source) {
    case VerdictSource::kAllowlistExact:
      return "allowlist";
    case VerdictSource::kAllowlistSuffix:
      return "allowlist_suffix";
    case VerdictSource::kGuard:
      return "guard";
    case VerdictSource::kNoEndpoint:
      return "no_endpoint";
    case VerdictSource::kAsk:
      return "ask";
    case VerdictSource::kRemembered:
      return "ask_remembered";
    case VerdictSource::kStale:
      break;
  }
  return "ask_stale";
}

}  // namespace latchkey
