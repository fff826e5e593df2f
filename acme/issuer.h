#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme/account_status.h"
#include "acme/challenges.h"
#include "acme/counts.h"
#include "acme/dns_prover.h"
#include "acme/external_account.h"
#include "acme/order.h"
#include "acme/pacer.h"
#include "acme/problem.h"
#include "acme/renewal_info.h"
#include "acme/revocation.h"
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
  int failures = 0;         // the tries in a row that have failed before
  std::string profile{};    // asked for if the CA offers it; "" for the issuer's own
  std::string key_type{};   // "p256" (also ""), "p384", "rsa2048"
  Slot slot = Slot::kMain;  // kRsa: an rsa2048, whatever key_type says
  // The name's certificate that is to be replaced: the order says so (RFC 9773, 5) where the CA
  // knows of renewals. What the CA does not accept is left out of a second try. Null: none.
  CertificatePtr predecessor{};
  std::string
      predecessor_account{};  // the URL of the account that has ordered it, which must be ours
  // An order that the store has of an earlier life: it is gone on with where that is possible, and
  // replaced by a new one, once, where it is not. A proof that failed while nobody was here to
  // answer is the name's failure where it has failed before, else a reason for a new order.
  std::optional<PendingOrder> pending{};
  bool renewal = false;  // for the PendingOrder; a predecessor makes it one, too
  // Asked before a second order: to try the other challenge type, or because the order to go on
  // with
  // (`pending`, or one whose account was lost meanwhile) came to nothing; false: there is none.
  std::function<bool()> may_order_again{};
  // Asked before an order is made that the CA will not count as the renewal of `predecessor`;
  // false: it is not made (kThrottled).
  std::function<bool()> may_order_plain{};
  std::function<void()> authorization_failed{};  // each time that the CA refused our proof
  std::function<void()> ordered{};               // each time that the CA has accepted a new order
  // Once: when a proof by DNS-01 begins, or the CA has been making the certificate for 30 s.
  std::function<void()> slow{};
  // Called just before obtain() fails (not when it is dropped).
  std::function<void(const IssuanceFailure&)> on_failure{};
};

struct IssuerOptions {
  std::string name;       // in the configuration: "letsencrypt"
  std::string directory;  // URL
  std::string email;      // "" for none
  bool accept_terms = false;
  std::vector<ChallengeType> challenges{ChallengeType::kTlsAlpn01, ChallengeType::kHttp01};
  std::optional<ExternalAccount> eab{};  // RFC 8555, 7.3.4
  std::string profile{};                 // asked for where a job names none
  // The common name of a certificate's issuer: of the chains that the CA offers the first that ends
  // under it is taken; "" or none such: the CA's own choice. RFC 8555, 7.4.2.
  std::string preferred_chain{};
  DnsProver* dns = nullptr;  // for dns-01; null: it is not done. Outlives us
  bool must_staple = false;  // certificates ask for RFC 7633's status_request
  Millis first_poll{20};     // then doubled up to 5 s; Retry-After is obeyed
  Pacer* pacer = nullptr;    // of the requests to this CA; outlives us
  // The control thread's: RSA keys are then made on a thread of our own, else in place.
  std::optional<Mailbox::Address> home{};
  // The CA does not know the account of that URL any more: the same key is being registered anew.
  std::function<void(const std::string& old_url)> account_lost{};
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

  // The account's URL, once it is known; "" before.
  std::string account_url() const;
  // Can it do dns-01? Where not, obtain() fails for a wildcard.
  bool proves_wildcards() const;

  // What the operator may do with the account. A change of its key survives a crash at any point:
  // the next start finds out which of the two keys the CA has.
  Task<> roll_key();
  // RFC 8555, 7.3.6. Nothing is ordered here any more, until reactivate() registers a new account.
  Task<> deactivate();
  Task<> reactivate();
  Task<AccountStatus> account_status();

  // RFC 8555, 7.6: by our account, or by the certificate's own key where the account may not. A
  // certificate that is revoked already is a success.
  Task<> revoke(CertificatePtr certificate, RevocationReason reason);
  // RFC 9773. kNotFound: this CA has no such resource, or the certificate no identifier.
  Task<RenewalInfo> renewal_info(CertificatePtr certificate);

  // One order for one name; a second one when the first challenge type failed and another is left,
  // but only where job.failures is 0: later tries take the types in turn, one order each. A
  // wildcard is proven by DNS-01 alone, an address never. Where our own DNS does not take the
  // record, another type is tried with the same order; else the order stays, for the next try to go
  // on with. The certificate that comes back was judged (the name asked for, our key, valid now,
  // chain in order) but not stored. Ends within 10 minutes, by DNS-01 within an hour. The order and
  // the certificate's key are in the store (PendingOrder) from before it is finalized, and taken
  // out when it has come to nothing; a certificate takes its own out. Dropping the task leaves the
  // order to be gone on with.
  Task<CertificatePtr> obtain(IssuanceJob job);
  Task<CertificatePtr> obtain(ServerName name, int failures = 0);

  const std::string& name() const;
  const Counts& counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
