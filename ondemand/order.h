#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/certificate.h"
#include "cache/failure.h"
#include "cache/grant.h"
#include "cache/renewal.h"

namespace latchkey {

// One issuance that an issuer is to see through.
struct OrderJob {
  ServerName name;
  int failures = 0;         // tries in a row that have failed before
  GrantPtr grant{};         // profile, key type
  Slot slot = Slot::kMain;  // kRsa: an RSA key, whatever the grant says
  // A renewal: the certificate in use. Its issuer and account say whether the CA counts it as one.
  CertificatePtr predecessor{};
  std::string predecessor_issuer{}, predecessor_account{};
  std::optional<PendingOrder> pending{};  // to be gone on with, at its issuer
  // Called by the issuer; all may be empty.
  std::function<void()> ordered{};          // the CA has accepted an order; it costs now
  std::function<bool()> may_order_again{};  // before a second order: are there tokens for it?
  // Before an order that the CA refused as a replacement is made without saying so.
  std::function<bool()> may_order_plain{};
  std::function<void()> authorization_failed{};  // the CA has refused our proof
  std::function<void()> slow{};                  // it takes long, for no fault of ours
};

// Why it came to nothing.
struct OrderFailure {
  FailureClass failure = FailureClass::kOther;
  Error error;
  bool of_the_ca = false;  // the CA's trouble or limits: another issuer may help, and the name's
                           // account of failures is not charged
};

struct OrderOutcome {
  CertificatePtr certificate{};  // null: failed
  std::string issuer{};          // that made it, or that was last tried
  std::string account{};         // URL
  std::optional<OrderFailure> failure{};
};

// When an issuer wants a certificate renewed, by its own word.
struct RenewalAdvice {
  RenewalWindow window;
  Millis poll_after{0};
  std::string explanation_url{};
};

// An issuer of the configuration: an account at a CA, or an authority in this process. Control
// thread.
class CertificateSource {
 public:
  virtual ~CertificateSource() = default;
  virtual const std::string& name() const = 0;
  // An authority in this process? Its clients are others than those of the CAs that browsers know:
  // it never stands in for one.
  virtual bool embedded() const { return false; }
  // Never fails as a task. Says nothing to the store. Dropping the task abandons the order.
  virtual Task<OrderOutcome> order(OrderJob job) = 0;
  // Will the order be told to this CA as the replacement of the job's predecessor (RFC 9773, 5)?
  // Only orders of the same account are, and no limits hold for them.
  virtual bool replaces(const OrderJob& job) const = 0;
  // RFC 9773. kNotFound: it has no word on that. REQUIRES: the certificate is of this issuer.
  virtual Task<RenewalAdvice> renewal_advice(CertificatePtr certificate) = 0;
  // Can it prove a wildcard (DNS-01)? Where not, order() fails for such a name.
  virtual bool proves_wildcards() const = 0;
  // `reason`: one of RFC 5280's words, checked.
  virtual Task<> revoke(CertificatePtr certificate, std::string reason) = 0;
};

}  // namespace latchkey
