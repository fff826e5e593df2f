#pragma once
#include <optional>
#include <string_view>

namespace latchkey::acme {

// RFC 5280, 5.3.1; those that a subscriber may give.
enum class RevocationReason {
  kUnspecified = 0,
  kKeyCompromise = 1,
  kAffiliationChanged = 3,
  kSuperseded = 4,
  kCessationOfOperation = 5,
};
std::string_view to_string(RevocationReason reason);  // "keyCompromise", as RFC 5280 spells it
std::optional<RevocationReason> revocation_reason_from(std::string_view text);

}  // namespace latchkey::acme
