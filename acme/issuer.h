#pragma once
#include <memory>
#include <string>
#include <vector>

#include "acme/challenges.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "cache/certificate.h"
#include "cache/store.h"

namespace latchkey::acme {

enum class ChallengeType { kTlsAlpn01, kHttp01 };

struct IssuerOptions {
  std::string name;       // in the configuration: "letsencrypt"
  std::string directory;  // URL
  std::string email;      // "" for none
  bool accept_terms = false;
  std::vector<ChallengeType> challenges{ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
};

// One CA's account: everything from the directory to a chain that was judged. Control thread.
class AcmeIssuer {
 public:
  struct Counts {
    Counter orders;  // new-order requests that the CA accepted
    Counter requests, bad_nonces, failures;
  };

  // `http` was made with the issuer's ca_file. All outlive us.
  AcmeIssuer(IssuerOptions options, HttpClient& http, Clock& clock, Store& store,
             ChallengeTable& challenges, Log& log);
  ~AcmeIssuer();
  AcmeIssuer(const AcmeIssuer&) = delete;

  // One order for one name (a second one when the first challenge type failed and another is
  // left). The certificate that comes back was judged (the name asked for, our key, valid now,
  // chain in order) but not stored. Ends within 10 minutes. Dropping the task abandons the order.
  Task<CertificatePtr> obtain(ServerName name);

  const std::string& name() const;
  const Counts& counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
