#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/ca_certificate.h"
#include "acme/ocsp.h"
#include "base/clock.h"
#include "base/result.h"

namespace latchkey::acme {

// The responder's side of RFC 6960. Pure.

// What is asked about one certificate.
struct OcspQuestion {
  std::string cert_id;  // DER, to be repeated
  bool sha256 = false;  // else SHA-1: the hashes of its issuer
  std::string name_hash, key_hash;
  std::string serial;  // hex, lower case
};

struct OcspRequest {
  std::vector<OcspQuestion> questions;  // 1 to kMaxQuestions
  std::string nonce;                    // DER of the extension (RFC 8954), to be repeated; ""

  static constexpr size_t kMaxBytes = 4 << 10;
  static constexpr size_t kMaxQuestions = 8;
};

// kProtocol: it does not parse. Hashes other than SHA-1 and SHA-256 are nobody's.
Result<OcspRequest> parse_ocsp_request(std::string_view der);

struct OcspWord {
  std::string cert_id;
  CertStatus status = CertStatus::kUnknown;
  WallTime revoked_at{};
  int reason = 0;
};

// Signed by the CA itself.
std::string make_ocsp_response(const Issuer& issuer, const std::vector<OcspWord>& words,
                               const std::string& nonce, WallTime this_update,
                               WallTime next_update);

// RFC 6960, 4.2.1.
enum class OcspError { kMalformed = 1, kInternal = 2, kTryLater = 3, kUnauthorized = 6 };
std::string make_ocsp_error(OcspError error);

}  // namespace latchkey::acme
