#include "acme/authority/server_order.h"

#include <algorithm>

#include "acme/authority/server_problem.h"
#include "acme/authority/server_routes.h"
#include "acme/authority/server_time.h"
#include "acme/authority/server_words.h"
#include "base/check.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

// "*." and the name was parsed as an identifier, or has been stored as one.
ServerName wildcard_of(const ServerName& name) {
  Result<ServerName> wildcard = ServerName::parse_wildcard("*." + name.text());
  CHECK(wildcard.has_value());
  return *std::move(wildcard);
}

}  // namespace

ServerName ServerAuthorization::identifier() const {
  return wildcard ? wildcard_of(name) : name;
}

bool ServerAuthorization::is_for(const ServerName& other) const {
  if (!wildcard) return name == other;
  return other.is_wildcard() && other.parent() == name.text();
}

ServerChallenge* ServerAuthorization::challenge(ChallengeType type) {
  const auto found = std::find_if(challenges.begin(), challenges.end(),
                                  [&](const ServerChallenge& one) { return one.type == type; });
  return found == challenges.end() ? nullptr : &*found;
}

OrderStatus ServerOrder::status_at(WallTime now) const {
  if (finalizing) return OrderStatus::kProcessing;
  const bool open = status == OrderStatus::kPending || status == OrderStatus::kReady;
  return open && now >= expires ? OrderStatus::kInvalid : status;
}

AuthorizationStatus ServerOrder::status_at(const ServerAuthorization& authorization,
                                           WallTime now) const {
  const bool lives = authorization.status == AuthorizationStatus::kPending ||
                     authorization.status == AuthorizationStatus::kValid;
  return lives && now >= expires ? AuthorizationStatus::kExpired : authorization.status;
}

void ServerOrder::settle() {
  if (status != OrderStatus::kPending && status != OrderStatus::kReady) return;
  bool all_valid = true;
  for (const ServerAuthorization& one : authorizations) {
    if (one.status != AuthorizationStatus::kValid) all_valid = false;
    if (one.status == AuthorizationStatus::kValid || one.status == AuthorizationStatus::kPending) {
      continue;
    }
    status = OrderStatus::kInvalid;
    const bool withdrawn = one.status == AuthorizationStatus::kDeactivated;
    ServerProblem problem =
        unauthorized("the authorization of " + one.identifier().text() +
                     (withdrawn ? " was deactivated" : " failed; its challenge says why"));
    error = problem.document();
    return;
  }
  status = all_valid ? OrderStatus::kReady : OrderStatus::kPending;
}

std::string ServerOrder::object(std::string_view base, WallTime now) const {
  std::string identifiers = "[";
  std::string urls = "[";
  for (size_t i = 0; i < authorizations.size(); ++i) {
    if (i > 0) identifiers += ',', urls += ',';
    identifiers += identifier_of(authorizations[i].identifier());
    urls += json_quote(authorization_url(base, id, i));
  }
  const OrderStatus is = status_at(now);
  JsonObject object;
  object.text("status", word_of(is, kOrderWords)).text("expires", rfc3339(expires));
  object.raw("identifiers", identifiers + "]").raw("authorizations", urls + "]");
  object.text("finalize", finalize_url(base, id));
  if (is == OrderStatus::kValid) object.text("certificate", certificate_url(base, serial));
  if (!replaces.empty()) object.text("replaces", replaces);
  if (is == OrderStatus::kInvalid) {
    object.raw("error", error.empty() ? malformed("the order has expired").document() : error);
  }
  return object.str();
}

std::string ServerOrder::authorization_object(std::string_view base, size_t index,
                                              WallTime now) const {
  const ServerAuthorization& one = authorizations[index];
  // Of one that is decided, the challenge that decided it (RFC 8555, 7.1.4).
  const bool pending = one.status == AuthorizationStatus::kPending;
  const bool decided =
      std::any_of(one.challenges.begin(), one.challenges.end(), [](const ServerChallenge& c) {
        return c.status == ChallengeStatus::kValid || c.status == ChallengeStatus::kInvalid;
      });
  std::string list = "[";
  for (const ServerChallenge& challenge : one.challenges) {
    const bool untouched = challenge.status == ChallengeStatus::kPending;
    if (!pending && decided && untouched) continue;
    if (list.size() > 1) list += ',';
    list += challenge_object(base, index, challenge);
  }
  JsonObject object;
  object.raw("identifier", identifier_of(one.name))
      .text("status", word_of(status_at(one, now), kAuthorizationWords));
  object.text("expires", rfc3339(expires)).raw("challenges", list + "]");
  if (one.wildcard) object.boolean("wildcard", true);
  return object.str();
}

std::string ServerOrder::challenge_object(std::string_view base, size_t index,
                                          const ServerChallenge& challenge) const {
  JsonObject object;
  object.text("type", to_string(challenge.type));
  object.text("url", challenge_url(base, id, index, challenge.type));
  object.text("status", word_of(challenge.status, kChallengeWords))
      .text("token", authorizations[index].token);
  if (challenge.validated) object.text("validated", rfc3339(*challenge.validated));
  if (!challenge.error.empty()) object.raw("error", challenge.error);
  return object.str();
}

ServerAuthorization make_authorization(const ServerName& identifier) {
  const bool wildcard = identifier.is_wildcard();
  Result<ServerName> name =
      wildcard ? ServerName::parse(identifier.parent()) : Result<ServerName>(identifier);
  CHECK(name.has_value());
  ServerAuthorization made{*std::move(name), wildcard};
  made.token = random_token();
  if (!wildcard) {
    made.challenges.push_back({ChallengeType::kHttp01});
    made.challenges.push_back({ChallengeType::kTlsAlpn01});
  }
  if (!identifier.is_ip()) made.challenges.push_back({ChallengeType::kDns01});
  return made;
}

void conclude(ServerAuthorization& authorization, ChallengeType type, std::string error,
              WallTime now) {
  ServerChallenge* const challenge = authorization.challenge(type);
  CHECK(challenge != nullptr);
  const bool valid = error.empty();
  challenge->status = valid ? ChallengeStatus::kValid : ChallengeStatus::kInvalid;
  challenge->validated = now;
  challenge->error = std::move(error);
  // One that was deactivated meanwhile stays so.
  if (authorization.status != AuthorizationStatus::kPending) return;
  authorization.status = valid ? AuthorizationStatus::kValid : AuthorizationStatus::kInvalid;
}

}  // namespace latchkey::acme
