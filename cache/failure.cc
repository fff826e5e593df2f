#include "cache/failure.h"

#include <array>
#include <utility>

namespace latchkey {
namespace {

constexpr std::array<std::pair<FailureClass, std::string_view>, 15> kWords{{
    {FailureClass::kDns, "dns"},
    {FailureClass::kConnection, "connection"},
    {FailureClass::kTls, "tls"},
    {FailureClass::kUnauthorized, "unauthorized"},
    {FailureClass::kCaa, "caa"},
    {FailureClass::kRateLimited, "rateLimited"},
    {FailureClass::kRejectedIdentifier, "rejectedIdentifier"},
    {FailureClass::kUserActionRequired, "userActionRequired"},
    {FailureClass::kAccount, "account"},
    {FailureClass::kServerInternal, "serverInternal"},
    {FailureClass::kTimeout, "timeout"},
    {FailureClass::kBadCertificate, "badCertificate"},
    {FailureClass::kStorage, "storage"},
    {FailureClass::kPolicy, "policy"},
    {FailureClass::kOther, "other"},
}};

}  // namespace

std::string_view to_string(FailureClass c) {
  for (const auto& [known, word] : kWords) {
    if (known == c) return word;
  }
  return "other";
}

FailureClass failure_class_from(std::string_view text) {
  for (const auto& [known, word] : kWords) {
    if (word == text) return known;
  }
  return FailureClass::kOther;
}

}  // namespace latchkey
