#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "acme/ocsp.h"
#include "base/clock.h"
#include "base/result.h"

namespace latchkey::acme {

// An OCSPResponse taken apart (RFC 6960, 4.2.1), nothing of it believed. The views are into the
// bytes that it was parsed from.
struct OcspResponse {
  // What is said of one certificate. Whose it is: hashes of its issuer's name and key, and its
  // serial number.
  struct Single {
    std::string_view hash;  // the contents of its OID
    std::string_view name_hash, key_hash, serial;
    CertStatus status = CertStatus::kUnknown;
    WallTime this_update{};
    std::optional<WallTime> next_update{};
    WallTime revoked_at{};
    std::optional<int> reason{};
    bool critical_extension = false;
  };

  bool by_name = false;
  std::string_view responder;  // DER of its name, or the SHA-1 of its key
  std::vector<Single> singles;
  bool critical_extension = false;
  std::string_view signed_data;                // tbsResponseData
  std::string_view algorithm;                  // DER of the AlgorithmIdentifier
  std::string_view signature;                  // the bytes of the BIT STRING
  std::vector<std::string_view> certificates;  // DER; at most kMaxCertificates

  static constexpr size_t kMaxBytes = 64 << 10;
  static constexpr size_t kMaxCertificates = 8;  // further ones are not looked at
};

// Strict DER, nothing behind it. Errors: kThrottled where the responder says "try later" or that it
// is in trouble, kNotFound where it does not know such a certificate ("unauthorized"), kProtocol
// else.
Result<OcspResponse> parse_ocsp_response(std::string_view der);

}  // namespace latchkey::acme
