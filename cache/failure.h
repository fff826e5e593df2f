#pragma once
#include <string>
#include <string_view>

#include "base/clock.h"

namespace latchkey {

// Why no certificate came of it, as the failure ledger sorts it; from RFC 8555's problem types.
enum class FailureClass {
  kDns,
  kConnection,
  kTls,
  kUnauthorized,
  kCaa,
  kRateLimited,
  kRejectedIdentifier,
  kUserActionRequired,
  kAccount,         // unknown to the CA, deactivated, binding or terms missing
  kServerInternal,  // the CA's own trouble: 5xx, no answer, an answer that breaks the protocol
  kTimeout,
  kBadCertificate,
  kStorage,
  kPolicy,
  kOther,
};
std::string_view to_string(FailureClass c);
// kOther for a word that is none.
FailureClass failure_class_from(std::string_view text);

// What the ledger remembers of a name whose issuance failed; a row of the table `failure`.
struct FailureRecord {
  FailureClass failure = FailureClass::kOther;
  std::string message{};  // the whole error, for people; <= 2 KiB
  std::string issuer{};   // of the configuration, or ""
  int count = 0;          // in a row
  WallTime first{};       // of the row
  WallTime last{};
  WallTime next_try{};
};

}  // namespace latchkey
