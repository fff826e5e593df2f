#pragma once
#include <string_view>

#include "acme/ocsp.h"

namespace latchkey::acme {

// judge_ocsp_response() for certificates in DER.
Result<OcspAnswer> judge_ocsp_response(std::string_view der, std::string_view leaf,
                                       std::string_view issuer, WallTime now);

// RFC 5280's word for a CRLReason; "unspecified" for a number that has none.
std::string_view revocation_reason(int number);

}  // namespace latchkey::acme
