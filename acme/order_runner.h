#pragma once
#include <string>
#include <vector>

#include "acme/account.h"
#include "acme/acme_ca.h"
#include "acme/issuance.h"
#include "acme/issuer.h"
#include "acme/key_maker.h"

namespace latchkey::acme {

// One try: from the account to a certificate that was judged, over one order, new or resumed. The
// order and the certificate's key are stored together, once the CA has accepted the order and
// before anything else is asked of it. Control thread; all outlive us.
class OrderRunner {
 public:
  struct Parts {
    const IssuerOptions& options;
    AcmeClient& client;
    AccountKeeper& accounts;
    Store& store;
    ChallengeTable& challenges;
    Clock& clock;
    AcmeCounts& counts;
    Log& log;
  };
  explicit OrderRunner(Parts parts) : parts_(parts), keys_(parts.options.home) {}

  struct Try {
    std::vector<ChallengeType> types;  // left to us, the preferred one first
    Deadline& deadline;                // outlives the task
    bool replaces = true;              // may the order be told as a renewal?
  };
  // `job`, `allowance` and `report` outlive the task.
  Task<CertificatePtr> run(const IssuanceJob& job, Try how, Allowance& allowance,
                           IssuanceReport& report);

 private:
  Task<AccountPtr> find_account(Allowance& allowance, IssuanceReport& report);
  Task<PrivateKey> find_key(const IssuanceJob& job, AccountPtr account, IssuanceReport& report);
  std::string known_key_type(const IssuanceJob& job);
  std::string profile_of(const IssuanceJob& job) const;
  Task<> keep_order(PendingOrder order, std::string url, IssuanceReport& report);
  void note_account_trouble(const AccountPtr& account, IssuanceReport& report);
  Task<CertificatePtr> judge_chain(AcmeCa& ca, ServerName name, PrivateKey key, Chain chain,
                                   IssuanceReport& report);
  Task<CertificatePtr> preferred_chain(AcmeCa& ca, ServerName name, PrivateKey key, Chain chain);
  void warn(const ServerName& name, const std::string& text);

  const Parts parts_;
  KeyMaker keys_;
};

}  // namespace latchkey::acme
