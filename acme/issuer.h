#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme/challenges.h"
#include "acme/counts.h"
#include "acme/order.h"
#include "acme/pacer.h"
#include "acme/problem.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/task.h"
#include "cache/certificate.h"
#include "cache/store.h"

namespace latchkey::acme {

// Why an issuance ended without a certificate, for who keeps account of failures.
struct IssuanceFailure {
  FailureClass failure = FailureClass::kOther;
  Error error;                              // what obtain() fails with
  std::optional<Problem> problem{};         // the CA's document, if it was the CA's word
  std::optional<ChallengeType> answered{};  // the last challenge that the CA was told to try
  std::optional<Throttle> throttle{};       // the CA told us to stay away
};

// One certificate wanted. The functions may be empty; they are called on the control thread, none
// after obtain()'s task has gone, and none may destroy that task.
struct IssuanceJob {
  ServerName name;
  int failures = 0;        // the tries in a row that have failed before
  std::string profile{};   // asked for if the CA offers it; "" for none
  std::string key_type{};  // "p256" (also ""), "p384", "rsa2048"
  // Asked before a second order tries the other challenge type; false: there is none.
  std::function<bool()> may_order_again{};
  std::function<void()> authorization_failed{};  // each time that the CA refused our proof
  std::function<void()> ordered{};               // each time that the CA has accepted an order
  std::function<void()> slow{};  // once, when the CA has been making the certificate for 30 s
  // Called just before obtain() fails (not when it is dropped).
  std::function<void(const IssuanceFailure&)> on_failure{};
};

struct IssuerOptions {
  std::string name;       // in the configuration: "letsencrypt"
  std::string directory;  // URL
  std::string email;      // "" for none
  bool accept_terms = false;
  std::vector<ChallengeType> challenges{ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  Millis first_poll{20};   // then doubled up to 5 s; Retry-After is obeyed
  Pacer* pacer = nullptr;  // of the requests to this CA; outlives us
  // The control thread's: RSA keys are then made on a thread of our own, else in place.
  std::optional<Mailbox::Address> home{};
};

// One CA's account: everything from the directory to a chain that was judged. Control thread.
class AcmeIssuer {
 public:
  using Counts = AcmeCounts;

  // `http` was made with the issuer's ca_file. All outlive us.
  AcmeIssuer(IssuerOptions options, HttpClient& http, Clock& clock, Store& store,
             ChallengeTable& challenges, Log& log);
  ~AcmeIssuer();
  AcmeIssuer(const AcmeIssuer&) = delete;

  // Does ahead of need what the first obtain() would have to: connects, reads the directory, finds
  // or registers the account. Its failure costs nothing.
  Task<> prepare();

  // One order for one name; a second one when the first challenge type failed and another is left,
  // but only where job.failures is 0: later tries take the types in turn, one order each. The
  // certificate that comes back was judged (the name asked for, our key, valid now, chain in order)
  // but not stored. Ends within 10 minutes. Dropping the task abandons the order.
  Task<CertificatePtr> obtain(IssuanceJob job);
  Task<CertificatePtr> obtain(ServerName name, int failures = 0);

  const std::string& name() const;
  const Counts& counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
