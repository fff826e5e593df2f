#include "acme/order.h"

#include <algorithm>
#include <array>

#include "acme/base64url.h"
#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxAuthorizations = 16;
constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxToken = 256;  // bytes

template <typename Status, size_t N>
std::optional<Status> status_of(const std::array<std::pair<std::string_view, Status>, N>& words,
                                std::string_view text) {
  for (const auto& [word, status] : words) {
    if (word == text) return status;
  }
  return std::nullopt;
}

constexpr std::array<std::pair<std::string_view, OrderStatus>, 5> kOrderWords{{
    {"pending", OrderStatus::kPending},
    {"ready", OrderStatus::kReady},
    {"processing", OrderStatus::kProcessing},
    {"valid", OrderStatus::kValid},
    {"invalid", OrderStatus::kInvalid},
}};
constexpr std::array<std::pair<std::string_view, AuthorizationStatus>, 6> kAuthorizationWords{{
    {"pending", AuthorizationStatus::kPending},
    {"valid", AuthorizationStatus::kValid},
    {"invalid", AuthorizationStatus::kInvalid},
    {"deactivated", AuthorizationStatus::kDeactivated},
    {"expired", AuthorizationStatus::kExpired},
    {"revoked", AuthorizationStatus::kRevoked},
}};
constexpr std::array<std::pair<std::string_view, ChallengeStatus>, 4> kChallengeWords{{
    {"pending", ChallengeStatus::kPending},
    {"processing", ChallengeStatus::kProcessing},
    {"valid", ChallengeStatus::kValid},
    {"invalid", ChallengeStatus::kInvalid},
}};

Error wrong(const std::string& what) {
  return Error{ErrorCode::kProtocol, what};
}

Result<JsonValue> parse_object(std::string_view body) {
  Result<JsonValue> value = parse_json(body);
  if (!value) return wrong("not JSON: " + value.error().message);
  if (!value->is(JsonValue::Kind::kObject)) return wrong("expected a JSON object");
  return value;
}

std::optional<Problem> problem_in(const JsonValue& value) {
  const JsonValue* error = value.find("error");
  if (error == nullptr || !error->is(JsonValue::Kind::kObject)) return std::nullopt;
  return parse_problem(*error);
}

Result<Order> read_order(const JsonValue& value) {
  Order order;
  const std::string_view status = value.text_of("status");
  const auto known = status_of(kOrderWords, status);
  if (!known) return wrong("unknown order status \"" + printable(status, 40) + "\"");
  order.status = *known;
  order.problem = problem_in(value);

  const JsonValue* authorizations = value.find("authorizations");
  if (authorizations == nullptr || authorizations->items.empty()) {
    return wrong("authorizations is missing");
  }
  if (authorizations->items.size() > kMaxAuthorizations) {
    return wrong("more than 16 authorizations for one name");
  }
  for (const JsonValue& item : authorizations->items) {
    Result<std::string> url = check_ca_url("authorizations", item.text);
    if (!url) return std::move(url).error();
    order.authorizations.push_back(*std::move(url));
  }
  Result<std::string> finalize = check_ca_url("finalize", value.text_of("finalize"));
  if (!finalize) return std::move(finalize).error();
  order.finalize = *std::move(finalize);
  if (order.status == OrderStatus::kValid) {
    Result<std::string> certificate = check_ca_url("certificate", value.text_of("certificate"));
    if (!certificate) return std::move(certificate).error();
    order.certificate = *std::move(certificate);
  }
  return order;
}

std::optional<ChallengeType> challenge_type(std::string_view text) {
  if (text == "tls-alpn-01") return ChallengeType::kTlsAlpn01;
  if (text == "http-01") return ChallengeType::kHttp01;
  if (text == "dns-01") return ChallengeType::kDns01;
  return std::nullopt;
}

Result<Challenge> read_challenge(ChallengeType type, const JsonValue& value) {
  Challenge challenge;
  challenge.type = type;
  const std::string_view status = value.text_of("status");
  const auto known = status_of(kChallengeWords, status);
  if (!known) return wrong("unknown challenge status \"" + printable(status, 40) + "\"");
  challenge.status = *known;
  challenge.problem = problem_in(value);
  Result<std::string> url = check_ca_url("a challenge's url", value.text_of("url"));
  if (!url) return std::move(url).error();
  challenge.url = *std::move(url);
  // It becomes part of a path that we answer, so nothing but RFC 8555, 8.1's alphabet will do.
  const std::string_view token = value.text_of("token");
  if (token.empty() || token.size() > kMaxToken || !is_base64url(token)) {
    return wrong("a challenge's token: expected base64url, got \"" + printable(token, 80) + "\"");
  }
  challenge.token = std::string(token);
  return challenge;
}

Result<Authorization> read_authorization(const JsonValue& value) {
  Authorization authorization;
  const std::string_view status = value.text_of("status");
  const auto known = status_of(kAuthorizationWords, status);
  if (!known) return wrong("unknown authorization status \"" + printable(status, 40) + "\"");
  authorization.status = *known;
  const JsonValue* identifier = value.find("identifier");
  const std::string_view kind = identifier == nullptr ? "" : identifier->text_of("type");
  if (kind != "dns" && kind != "ip") {
    return wrong("expected an identifier of type \"dns\" or \"ip\"");
  }
  authorization.is_ip = kind == "ip";
  authorization.identifier = printable(identifier->text_of("value"), 300);
  const JsonValue* wildcard = value.find("wildcard");
  authorization.wildcard =
      wildcard != nullptr && wildcard->is(JsonValue::Kind::kBool) && wildcard->boolean;

  const JsonValue* challenges = value.find("challenges");
  if (challenges == nullptr) return authorization;
  if (challenges->items.size() > kMaxChallenges) return wrong("more than 16 challenges");
  for (const JsonValue& item : challenges->items) {
    const std::string_view text = item.text_of("type");
    if (!authorization.offered.empty()) authorization.offered += ", ";
    authorization.offered += printable(text, 40);
    const auto type = challenge_type(text);
    if (!type) continue;
    const bool again = std::any_of(authorization.challenges.begin(), authorization.challenges.end(),
                                   [&](const Challenge& c) { return c.type == *type; });
    if (again) continue;
    Result<Challenge> challenge = read_challenge(*type, item);
    if (!challenge) return std::move(challenge).error();
    authorization.challenges.push_back(*std::move(challenge));
  }
  return authorization;
}

// As it was ordered.
std::string subject_of(const Authorization& authorization) {
  return (authorization.wildcard ? "*." : "") + authorization.identifier;
}

GiveUp refused(const Authorization& authorization) {
  const std::string doing = "the CA could not validate " + subject_of(authorization);
  for (const Challenge& challenge : authorization.challenges) {
    if (!challenge.problem) continue;
    const std::string by = doing + " by " + std::string(to_string(challenge.type));
    return {challenge.problem->error(by), challenge.problem};
  }
  return {wrong(doing + " and does not say why"), std::nullopt};
}

GiveUp unusable(const Authorization& authorization, std::string_view status) {
  return {wrong("the authorization " + authorization.url + " is " + std::string(status)),
          std::nullopt};
}

ProofStep prove_pending(const Authorization& authorization, const std::vector<ChallengeType>& types,
                        bool answered) {
  const auto any = [&](ChallengeStatus status) {
    return std::any_of(authorization.challenges.begin(), authorization.challenges.end(),
                       [&](const Challenge& c) { return c.status == status; });
  };
  if (any(ChallengeStatus::kValid)) return Poll{authorization.retry_after};
  if (answered && any(ChallengeStatus::kInvalid)) return refused(authorization);
  if (answered) return Poll{authorization.retry_after};

  std::string wanted;
  for (const ChallengeType type : types) {
    if (!wanted.empty()) wanted += ", ";
    wanted += to_string(type);
    for (const Challenge& challenge : authorization.challenges) {
      if (challenge.type != type || challenge.status == ChallengeStatus::kInvalid) continue;
      return Answer{challenge};
    }
  }
  return GiveUp{wrong("the CA offers no challenge for " + subject_of(authorization) +
                      " that is left to us: it offers " +
                      (authorization.offered.empty() ? "none" : authorization.offered) +
                      "; we can answer " + wanted),
                std::nullopt};
}

// RFC 8555, 7.1.4: that of a wildcard has the suffix as its identifier. Where a CA forgets to say
// `wildcard`, the proof is the same.
bool is_about(const Authorization& authorization, const ServerName& name) {
  if (authorization.wildcard && !name.is_wildcard()) return false;
  const Result<ServerName> about =
      authorization.is_ip ? ServerName::parse_ip(authorization.identifier)
                          : ServerName::parse(authorization.identifier, {.underscore = true});
  if (!about) return false;
  return name.is_wildcard() ? !authorization.is_ip && about->text() == name.parent()
                            : *about == name;
}

}  // namespace

std::string_view to_string(ChallengeType type) {
  switch (type) {
    case ChallengeType::kTlsAlpn01:
      return "tls-alpn-01";
    case ChallengeType::kHttp01:
      return "http-01";
    case ChallengeType::kDns01:
      return "dns-01";
  }
  return "unknown";
}

Result<Order> Order::parse(std::string url, std::string_view body) {
  const std::string where = "the order " + url;
  Result<JsonValue> value = parse_object(body);
  if (!value) return std::move(value).error().in(where);
  Result<Order> order = read_order(*value);
  if (!order) return std::move(order).error().in(where);
  order->url = std::move(url);
  return order;
}

Result<Authorization> Authorization::parse(std::string url, std::string_view body) {
  const std::string where = "the authorization " + url;
  Result<JsonValue> value = parse_object(body);
  if (!value) return std::move(value).error().in(where);
  Result<Authorization> authorization = read_authorization(*value);
  if (!authorization) return std::move(authorization).error().in(where);
  authorization->url = std::move(url);
  return authorization;
}

std::string identifier_of(const ServerName& name) {
  return JsonObject().text("type", name.is_ip() ? "ip" : "dns").text("value", name.text()).str();
}

Step next_step(const Order& order) {
  switch (order.status) {
    case OrderStatus::kPending:
      return Prove{order.authorizations};
    case OrderStatus::kReady:
      return Finalize{order.finalize};
    case OrderStatus::kProcessing:
      return Poll{order.retry_after};
    case OrderStatus::kValid:
      return Download{order.certificate};
    case OrderStatus::kInvalid:
      break;
  }
  const std::string doing = "the CA refused the order " + order.url;
  if (order.problem) return GiveUp{order.problem->error(doing), order.problem};
  return GiveUp{wrong(doing + " and does not say why"), std::nullopt};
}

ProofStep next_step(const Authorization& authorization, const ServerName& name,
                    const std::vector<ChallengeType>& types, bool answered) {
  if (!is_about(authorization, name)) {
    return GiveUp{wrong("the authorization " + authorization.url + " is for \"" +
                        subject_of(authorization) + "\", not for " + name.text()),
                  std::nullopt};
  }
  switch (authorization.status) {
    case AuthorizationStatus::kValid:
      return Proven{};
    case AuthorizationStatus::kPending:
      return prove_pending(authorization, types, answered);
    case AuthorizationStatus::kInvalid:
      return refused(authorization);
    case AuthorizationStatus::kDeactivated:
      return unusable(authorization, "deactivated");
    case AuthorizationStatus::kExpired:
      return unusable(authorization, "expired");
    case AuthorizationStatus::kRevoked:
      return unusable(authorization, "revoked");
  }
  return unusable(authorization, "unknown");
}

}  // namespace latchkey::acme
