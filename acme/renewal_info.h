#pragma once
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/certificate.h"
#include "cache/renewal.h"

namespace latchkey::acme {

// A CA's word on when a certificate should be renewed (RFC 9773, 4.2).
struct RenewalInfo {
  RenewalWindow window;
  std::string explanation_url{};  // for people; "" for none
  Millis poll_after{21'600'000};  // its Retry-After, from a minute to a day; 6 h where it gave none

  // `url`: where `body` came from, for messages. kProtocol for an inverted or empty window and for
  // what is no such document.
  static Result<RenewalInfo> parse(std::string_view url, std::string_view body);
};

// RFC 9773, 4.1: base64url(authority key identifier) "." base64url(serial number). "" for a
// certificate without an authority key identifier.
std::string renewal_id(const Certificate& certificate);
std::string renewal_id(std::string_view leaf_der);

}  // namespace latchkey::acme
