#include "acme/pacer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr Millis kDefaultWait = std::chrono::minutes(1);
constexpr size_t kMaxSubject = 253;

struct Wording {
  std::string_view words;  // in lower case
  LimitScope scope;
};

// What Boulder says of its limits, and the anchors of the manual that it links to; the first that
// matches counts. Registrations are limited by address, and so by resource.
constexpr std::array<Wording, 22> kWordings{{
    {"too many new orders", LimitScope::kAccount},
    {"already issued for this exact set", LimitScope::kIdentifiers},
    {"already issued for exact set", LimitScope::kIdentifiers},
    {"exact set of identifiers", LimitScope::kIdentifiers},
    {"exact set of domains", LimitScope::kIdentifiers},
    {"too many failed authorizations", LimitScope::kNameFailures},
    {"temporarily prevented from requesting certificates", LimitScope::kNameFailures},
    {"too many new registrations", LimitScope::kResource},
    {"too many registrations", LimitScope::kResource},
    {"too many certificates", LimitScope::kDomain},
    {"already issued for", LimitScope::kDomain},
    {"/docs/rate-limits/#new-orders-per-account", LimitScope::kAccount},
    {"/docs/rate-limits/#new-certificates-per-exact-set-of-", LimitScope::kIdentifiers},
    {"/docs/rate-limits/#new-certificates-per-registered-domain", LimitScope::kDomain},
    {"/docs/rate-limits/#authorization-failures-per-", LimitScope::kNameFailures},
    {"/docs/rate-limits/#consecutive-authorization-failures-per-", LimitScope::kNameFailures},
    {"/docs/rate-limits/#new-registrations-per-", LimitScope::kResource},
    {"/docs/rate-limits/#overall-requests-limit", LimitScope::kResource},
    {"/docs/duplicate-certificate-limit", LimitScope::kIdentifiers},
    {"/docs/failed-validation-limit", LimitScope::kNameFailures},
    {"/docs/too-many-registrations-for-this-ip", LimitScope::kResource},
    {"/docs/rate-limits/#", LimitScope::kResource},
}};

const Wording* wording_of(const std::string& text) {
  const auto found = std::find_if(kWordings.begin(), kWordings.end(), [&](const Wording& wording) {
    return text.find(wording.words) != std::string::npos;
  });
  return found == kWordings.end() ? nullptr : found;
}

// A name, or an address with the length of its prefix; anything else is dropped.
std::string subject_of(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-._*:/";
  std::string subject = lower(text);
  while (!subject.empty() && subject.back() == '.') subject.pop_back();
  const bool good = subject.size() <= kMaxSubject &&
                    subject.find_first_not_of(kAllowed) == std::string::npos &&
                    subject.find_first_of(".:") != std::string::npos;
  return good ? subject : std::string();
}

// The text between `after` and the first of `ends`.
std::string_view between(std::string_view text, std::string_view after, std::string_view ends) {
  const size_t begin = text.find(after);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + after.size());
  return text.substr(0, text.find_first_of(ends));
}

// Whom it is about: what is quoted; else a name in one of the places where names stand bare.
std::string subject_in(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kPlaces{{
      {"\"", "\""},
      {"requesting certificates for ", " ,"},
      {"already issued for: ", " ,"},
      {"set of domains: ", " ,:"},
      {" hours: ", " ,"},
  }};
  for (const auto& [after, ends] : kPlaces) {
    std::string_view found = between(text, after, ends);
    while (!found.empty() && found.back() == ':') found.remove_suffix(1);
    if (std::string subject = subject_of(found); !subject.empty()) return subject;
  }
  return {};
}

bool has_subject(LimitScope scope) {
  return scope != LimitScope::kResource && scope != LimitScope::kAccount;
}

bool understood(const Problem& problem, Throttle& throttle) {
  const std::string text = lower(problem.detail);
  const Wording* wording = wording_of(text);
  if (wording == nullptr) return false;
  throttle.scope = wording->scope;
  if (!has_subject(wording->scope)) return true;
  throttle.subject = subject_in(text);
  if (throttle.subject.empty()) throttle.subject = subject_of(problem.identifier);
  return true;
}

}  // namespace

std::string_view to_string(Resource resource) {
  switch (resource) {
    case Resource::kDirectory:
      return "directory";
    case Resource::kNewNonce:
      return "newNonce";
    case Resource::kNewAccount:
      return "newAccount";
    case Resource::kNewOrder:
      return "newOrder";
    case Resource::kOrder:
      return "order";
    case Resource::kAuthorization:
      return "authorization";
    case Resource::kChallenge:
      return "challenge";
    case Resource::kFinalize:
      return "finalize";
    case Resource::kCertificate:
      return "certificate";
    case Resource::kAccount:
      return "account";
    case Resource::kRevocation:
      return "revokeCert";
    case Resource::kRenewalInfo:
      return "renewalInfo";
  }
  return "unknown";
}

std::string_view to_string(LimitScope scope) {
  switch (scope) {
    case LimitScope::kResource:
      return "resource";
    case LimitScope::kAccount:
      return "account";
    case LimitScope::kDomain:
      return "domain";
    case LimitScope::kIdentifiers:
      return "identifiers";
    case LimitScope::kNameFailures:
      return "nameFailures";
  }
  return "unknown";
}

Throttle classify_throttle(Resource resource, const Problem& problem, std::string_view about) {
  Throttle throttle;
  throttle.resource = resource;
  throttle.wait = problem.retry_after.value_or(kDefaultWait);
  if (problem.failure_class() != FailureClass::kRateLimited) return throttle;
  bool known = understood(problem, throttle);
  for (const Problem& sub : problem.subproblems) {
    known = known || understood(sub, throttle);
  }
  if (has_subject(throttle.scope) && throttle.subject.empty()) throttle.subject = about;
  return throttle;
}

}  // namespace latchkey::acme
