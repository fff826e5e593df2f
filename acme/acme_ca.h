#pragma once
#include "acme/account.h"
#include "acme/client.h"
#include "acme/counts.h"
#include "acme/issuance.h"

namespace latchkey::acme {

// Ca by RFC 8555, for one issuance: requests signed by `account`. What the CA complains about goes
// into the report. All outlive us. `profile`: asked for where the CA has it; "" for none.
class AcmeCa final : public Ca {
 public:
  AcmeCa(AcmeClient& client, AccountPtr account, Log& log, AcmeCounts& counts,
         IssuanceReport& report, std::string profile);

  Task<Order> new_order(ServerName name) override;
  Task<Order> fetch_order(std::string url) override;
  Task<Authorization> fetch_authorization(std::string url) override;
  Task<> accept(std::string challenge_url) override;
  Task<Order> finalize(std::string order_url, std::string url, std::string csr) override;
  Task<std::string> download(std::string url) override;
  std::string key_authorization(const std::string& token) const override;

 private:
  std::string order_request(const ServerName& name, const Directory& directory) const;
  Task<AcmeReply> post(Resource resource, std::string url, std::string payload);
  Task<AcmeReply> fetch(Resource resource, std::string url);
  Result<AcmeReply> accepted(AcmeReply reply);

  AcmeClient& client_;
  const AccountPtr account_;
  Log& log_;
  AcmeCounts& counts_;
  IssuanceReport& report_;
  const std::string profile_;
  std::string about_;  // the name, once it is ordered
};

}  // namespace latchkey::acme
