#pragma once
#include "acme/account.h"
#include "acme/client.h"
#include "acme/renewal_info.h"
#include "acme/revocation.h"
#include "base/log.h"
#include "base/task.h"
#include "cache/certificate.h"

namespace latchkey::acme {

// What a CA is asked about a certificate that it has issued. Control thread; all outlive us.
class CertificateRequests {
 public:
  CertificateRequests(AcmeClient& client, AccountKeeper& accounts, Log& log);

  // RFC 8555, 7.6: by our account, or by the certificate's own key where the account may not (or
  // there is none). A certificate that is revoked already is a success. kNotFound: this CA has no
  // such resource.
  Task<> revoke(CertificatePtr certificate, RevocationReason reason);

  // RFC 9773. kNotFound: this CA has no such resource, or the certificate no identifier.
  Task<RenewalInfo> renewal_info(CertificatePtr certificate);

 private:
  Task<AcmeReply> revoke_by_account(std::string url, std::string payload);
  Task<AcmeReply> revoke_by_own_key(std::string url, std::string payload, PrivateKey key);

  AcmeClient& client_;
  AccountKeeper& accounts_;
  Log& log_;
};

}  // namespace latchkey::acme
