#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/certificate.h"

namespace latchkey::acme {

// RFC 6960 and 5019, our own DER over BoringSSL's CBS and CBB. Pure.

// The request for one certificate: certID with SHA-1, as responders expect, no nonce. Errors: the
// chain has no issuer, or something in it does not parse.
Result<std::string> make_ocsp_request(const Certificate& certificate);

enum class CertStatus { kGood, kRevoked, kUnknown };

struct OcspAnswer {
  CertStatus status = CertStatus::kUnknown;
  WallTime this_update{};
  WallTime next_update{};  // where the responder names none: a day after this_update
  WallTime revoked_at{};
  std::string reason{};  // RFC 5280's word; "unspecified" where none is given
};

// What a responder answered (untrusted, <= 64 KiB), judged: a successful basic response with one
// word about exactly this certificate (certID of any hash that we know), signed by its issuer or by
// a delegate that the issuer has certified for it (id-kp-OCSPSigning, valid now), not from the
// future (5 min are our clock's fault) and not past its nextUpdate. Errors say which: kThrottled
// where the responder says "try later", kNotFound where it does not know the certificate at all,
// kProtocol else. "Never issued" (RFC 6960, 4.4.8) is kUnknown.
Result<OcspAnswer> judge_ocsp_response(std::string_view der, const Certificate& certificate,
                                       WallTime now);

// RFC 5019, 5: the URL for a GET; nullopt where the request is too long for that (> 255 bytes).
std::optional<std::string> ocsp_get_url(std::string_view responder, std::string_view request);

}  // namespace latchkey::acme
