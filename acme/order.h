#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme/problem.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"

namespace latchkey::acme {

// kDns01 proves names and, alone of them, wildcards; no addresses.
enum class ChallengeType { kTlsAlpn01, kHttp01, kDns01 };
inline constexpr size_t kChallengeTypes = 3;
std::string_view to_string(ChallengeType type);

enum class OrderStatus { kPending, kReady, kProcessing, kValid, kInvalid };  // RFC 8555, 7.1.6

// An order as the CA last described it. URLs are checked.
struct Order {
  std::string url;
  OrderStatus status = OrderStatus::kPending;
  std::vector<std::string> authorizations;  // 1 to 16
  std::string finalize;
  std::string certificate;  // not empty once the order is valid
  std::optional<Problem> problem;
  std::optional<Millis> retry_after;

  static Result<Order> parse(std::string url, std::string_view body);
};

enum class AuthorizationStatus { kPending, kValid, kInvalid, kDeactivated, kExpired, kRevoked };
enum class ChallengeStatus { kPending, kProcessing, kValid, kInvalid };

struct Challenge {
  ChallengeType type = ChallengeType::kTlsAlpn01;
  ChallengeStatus status = ChallengeStatus::kPending;
  std::string url;
  std::string token;
  std::optional<Problem> problem;
};

// An authorization as the CA last described it.
struct Authorization {
  std::string url;
  AuthorizationStatus status = AuthorizationStatus::kPending;
  std::string identifier;             // its value
  bool is_ip = false;                 // its type: "ip" (RFC 8738), else "dns"
  bool wildcard = false;              // RFC 8555, 7.1.4: it is of "*." and the identifier
  std::vector<Challenge> challenges;  // of the types that we know, the first of each
  std::string offered;                // all types, for messages: "http-01, dns-01"
  std::optional<Millis> retry_after;

  static Result<Authorization> parse(std::string url, std::string_view body);
};

// The identifier of an order for `name`, as JSON: {"type":"dns","value":"a.test"}.
std::string identifier_of(const ServerName& name);

// What to do next about an order.
struct Prove {
  std::vector<std::string> authorizations;
};
struct Finalize {
  std::string url;
};
struct Poll {
  std::optional<Millis> retry_after;
};
struct Download {
  std::string url;
};
struct GiveUp {
  Error why;
  std::optional<Problem> problem;
};
using Step = std::variant<Prove, Finalize, Poll, Download, GiveUp>;

// The client's half of RFC 8555's order state machine, as a function: no I/O, no time, no memory.
// An order found on disk after a crash goes on from here just like a fresh one.
Step next_step(const Order& order);

// What to do next about an authorization.
struct Proven {};
struct Answer {
  Challenge challenge;
};
using ProofStep = std::variant<Proven, Answer, Poll, GiveUp>;

// `types`: the challenges that we can answer, the preferred one first. `answered`: a challenge was
// accepted already, so all that is left is to wait.
ProofStep next_step(const Authorization& authorization, const ServerName& name,
                    const std::vector<ChallengeType>& types, bool answered);

}  // namespace latchkey::acme
