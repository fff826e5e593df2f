#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme/order.h"
#include "base/clock.h"
#include "base/server_name.h"
#include "cache/authority_store.h"

namespace latchkey::acme {

// The server's half of RFC 8555's order state machine (7.1.6), as values: no I/O, no time of its
// own. An order holds its authorizations; both expire together.

struct ServerChallenge {
  ChallengeType type = ChallengeType::kHttp01;
  ChallengeStatus status = ChallengeStatus::kPending;
  std::optional<WallTime> validated{};
  std::string error{};  // a problem document, of an invalid one
};

struct ServerAuthorization {
  ServerName name;  // for a wildcard the name without "*."
  bool wildcard = false;
  AuthorizationStatus status = AuthorizationStatus::kPending;
  std::string token{};
  std::vector<ServerChallenge> challenges{};  // http-01, tls-alpn-01, dns-01, as far as they go
  bool looking = false;                       // a validation is under way; not stored

  // As it was ordered.
  ServerName identifier() const;
  // The same as `identifier() == other`, without a copy.
  bool is_for(const ServerName& other) const;
  ServerChallenge* challenge(ChallengeType type);
};

struct ServerOrder {
  std::string id;
  std::string account;
  OrderStatus status = OrderStatus::kPending;
  WallTime created{};
  WallTime expires{};
  std::vector<ServerAuthorization> authorizations{};  // 1 to 100, in the order of the identifiers
  std::string serial{};                               // of the certificate, once valid
  std::string replaces{};                             // RFC 9773's identifier, or ""
  std::string error{};                                // a problem document, of an invalid one
  bool finalizing = false;                            // the certificate is being made; not stored

  // What they are to be called at that time.
  OrderStatus status_at(WallTime now) const;
  AuthorizationStatus status_at(const ServerAuthorization& authorization, WallTime now) const;
  // The order's status follows from its authorizations' until it is finalized.
  void settle();

  AcmeOrderRow row(const std::string& authority) const;
  static Result<ServerOrder> from_row(const AcmeOrderRow& row);

  // The objects of RFC 8555, 7.1.3, 7.1.4 and 7.1.5.
  std::string object(std::string_view base, WallTime now) const;
  std::string authorization_object(std::string_view base, size_t index, WallTime now) const;
  std::string challenge_object(std::string_view base, size_t index,
                               const ServerChallenge& challenge) const;
};

// A new authorization with the challenges that can prove such a name (RFC 8555, 8; RFC 8738, 7).
ServerAuthorization make_authorization(const ServerName& identifier);
// What the outcome of a validation makes of it. `error`: a problem document; "": it is valid.
void conclude(ServerAuthorization& authorization, ChallengeType type, std::string error,
              WallTime now);

}  // namespace latchkey::acme
