#pragma once
#include <optional>
#include <string_view>

#include "ondemand/gcra.h"

namespace latchkey {

// What one issuer lets an account do; nullopt: no limit of ours (a CA's 429 still rules). The
// tables are Let's Encrypt's published ones, of whose bursts 90 % are used.
struct IssuerLimits {
  std::optional<Rate> orders{};         // new orders of the account; renewals do not count
  std::optional<Rate> renewals{};       // our own pace of renewals
  std::optional<Rate> domain{};         // certificates under one registered domain
  std::optional<Rate> identifiers{};    // certificates for exactly that name
  std::optional<Rate> name_failures{};  // failed authorizations of one name
  // HTTP requests, by resource (acme/pacer.h); the last is for what has none of its own.
  std::optional<Rate> new_nonce{}, new_account{}, new_order{}, renewal_info{}, other_requests{};

  friend bool operator==(const IssuerLimits&, const IssuerLimits&) = default;

  // "letsencrypt", "letsencrypt-staging", "none"; nullopt for another word.
  static std::optional<IssuerLimits> named(std::string_view name);
};

}  // namespace latchkey
