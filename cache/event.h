#pragma once
#include <string>
#include <string_view>

#include "base/clock.h"

namespace latchkey {

// Something in the life of a certificate that somebody may want to know of later: a row of the
// table `event`, a message to the webhook and the hook program. Never holds a secret.
struct Event {
  WallTime at{};
  std::string kind;       // event_kind
  std::string name{};     // that it is about; "" for none
  std::string issuer{};   // of the configuration, or ""
  std::string text{};     // for people: one line, <= 2 KiB
  std::string details{};  // a JSON object of what programs want to know, or ""; <= 4 KiB
  WallTime keep_until{};  // then it is deleted: three times the certificate's life, 90 d at least
};

namespace event_kind {
constexpr std::string_view kObtained = "certificate_obtained";
constexpr std::string_view kRenewed = "certificate_renewed";
constexpr std::string_view kFailed = "issuance_failed";
constexpr std::string_view kRenewalFailed = "renewal_failed";
constexpr std::string_view kRevoked = "certificate_revoked";
constexpr std::string_view kDeniedAtRenewal = "denied_at_renewal";
constexpr std::string_view kExpired = "certificate_expired";
constexpr std::string_view kDeleted = "certificate_deleted";
constexpr std::string_view kForgotten = "name_deleted";         // the operator's word
constexpr std::string_view kNotRenewed = "not_renewed_unseen";  // nobody came for forget_after
constexpr std::string_view kQuarantined = "certificate_quarantined";
constexpr std::string_view kUserActionRequired = "user_action_required";
constexpr std::string_view kAccountLost = "account_lost";        // the CA knew it no more
constexpr std::string_view kAccountChanged = "account_changed";  // key rolled, deactivated
constexpr std::string_view kIssuerUnavailable = "issuer_unavailable";
constexpr std::string_view kIssuerAvailable = "issuer_available";
constexpr std::string_view kBudgetLow = "budget_low";
constexpr std::string_view kTrafficUnusual = "acme_traffic_unusual";
constexpr std::string_view kStoreFailed = "store_failed";
constexpr std::string_view kStoreWorks = "store_works";
constexpr std::string_view kStapleFailed = "staple_failed";  // three times; or a responder is down
}  // namespace event_kind

}  // namespace latchkey
