#include "acme/revocation.h"

#include <array>
#include <utility>

namespace latchkey::acme {
namespace {

constexpr std::array<std::pair<RevocationReason, std::string_view>, 5> kWords{{
    {RevocationReason::kUnspecified, "unspecified"},
    {RevocationReason::kKeyCompromise, "keyCompromise"},
    {RevocationReason::kAffiliationChanged, "affiliationChanged"},
    {RevocationReason::kSuperseded, "superseded"},
    {RevocationReason::kCessationOfOperation, "cessationOfOperation"},
}};

}  // namespace

std::string_view to_string(RevocationReason reason) {
  for (const auto& [known, word] : kWords) {
    if (known == reason) return word;
  }
  return "unspecified";
}

std::optional<RevocationReason> revocation_reason_from(std::string_view text) {
  for (const auto& [reason, word] : kWords) {
    if (word == text) return reason;
  }
  return std::nullopt;
}

}  // namespace latchkey::acme
