#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/retry_after.h"
#include "cache/failure.h"

namespace latchkey {
struct JsonValue;
}

namespace latchkey::acme {

// A problem document (RFC 7807) as ACME uses it (RFC 8555, 6.7). What comes from the CA is kept
// within bounds: texts <= 2 KiB, subproblems <= 16.
struct Problem {
  std::string type;        // without "urn:ietf:params:acme:error:"; "" if there was none
  std::string detail;      // the CA's words
  std::string identifier;  // of a subproblem: whom it is about
  std::string instance;    // a page for people, or ""
  // The answer's Link to terms that a person must accept (userActionRequired), or "".
  std::string terms_of_service;
  int status = 0;  // HTTP
  std::optional<Millis> retry_after;
  std::vector<Problem> subproblems;

  bool is(std::string_view acme_type) const { return type == acme_type; }
  // By the type; by the first subproblem that says more where the type does not say which.
  FailureClass failure_class() const;
  // One escaped line: "rateLimited (HTTP 429): too many orders; retry after 60 s".
  std::string describe() const;
  // The same as an Error for `doing`.
  Error error(std::string_view doing) const;

 private:
  FailureClass class_of_type() const;
  std::string what_to_do() const;  // of userActionRequired
};

namespace problem_type {
constexpr std::string_view kAccountDoesNotExist = "accountDoesNotExist";
constexpr std::string_view kAlreadyReplaced = "alreadyReplaced";
constexpr std::string_view kAlreadyRevoked = "alreadyRevoked";
constexpr std::string_view kBadCsr = "badCSR";
constexpr std::string_view kBadNonce = "badNonce";
constexpr std::string_view kBadPublicKey = "badPublicKey";
constexpr std::string_view kBadRevocationReason = "badRevocationReason";
constexpr std::string_view kBadSignatureAlgorithm = "badSignatureAlgorithm";
constexpr std::string_view kCaa = "caa";
constexpr std::string_view kCompound = "compound";
constexpr std::string_view kConnection = "connection";
constexpr std::string_view kDns = "dns";
constexpr std::string_view kExternalAccountRequired = "externalAccountRequired";
constexpr std::string_view kIncorrectResponse = "incorrectResponse";
constexpr std::string_view kInvalidContact = "invalidContact";
constexpr std::string_view kMalformed = "malformed";
constexpr std::string_view kOrderNotReady = "orderNotReady";
constexpr std::string_view kRateLimited = "rateLimited";
constexpr std::string_view kRejectedIdentifier = "rejectedIdentifier";
constexpr std::string_view kServerInternal = "serverInternal";
constexpr std::string_view kTls = "tls";
constexpr std::string_view kUnauthorized = "unauthorized";
constexpr std::string_view kUnsupportedContact = "unsupportedContact";
constexpr std::string_view kUnsupportedIdentifier = "unsupportedIdentifier";
constexpr std::string_view kUserActionRequired = "userActionRequired";
}  // namespace problem_type

// A problem that stands inside another document ("error" of an order or a challenge).
Problem parse_problem(const JsonValue& value);
// The problem in an HTTP reply; one is made up from status and body where the CA sent none.
Problem parse_problem(int status, std::string_view body);

// Untrusted text on one line: control characters and what is not ASCII escaped, cut after `max`.
std::string printable(std::string_view text, size_t max = 400);

}  // namespace latchkey::acme
