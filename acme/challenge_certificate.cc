#include "acme/challenge_certificate.h"

#include <string>

#include "acme/ip_identifier.h"
#include "acme/jws.h"
#include "acme/self_signed.h"

namespace latchkey::acme {
namespace {

constexpr char kAcmeIdentifier[] = "1.3.6.1.5.5.7.1.31";

}  // namespace

Result<CertificatePtr> make_challenge_certificate(const ServerName& name,
                                                  std::string_view key_authorization) {
  SelfSigned certificate;
  certificate.common_name = "ACME challenge";
  if (name.is_ip()) {
    certificate.address = address_octets(name);
  } else {
    certificate.dns_name = name.text();
  }
  certificate.extensions = {
      {kAcmeIdentifier, true, std::string("\x04\x20") + sha256(key_authorization)}};
  // The validator looks at name and extension only; the dates are for whoever inspects it.
  return make_self_signed(certificate);
}

}  // namespace latchkey::acme
