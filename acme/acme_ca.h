#pragma once
#include <functional>
#include <string>

#include "acme/account.h"
#include "acme/allowance.h"
#include "acme/client.h"
#include "acme/counts.h"
#include "acme/issuance.h"

namespace latchkey::acme {

// What is asked of a CA beside the name.
struct OrderWishes {
  std::string profile{};   // asked for where the CA has it; "" for none
  std::string replaces{};  // the identifier of the certificate that is renewed (RFC 9773, 4.1); ""
  // Asked before the order is made without `replaces` though there was one; false: it is not made.
  std::function<bool()> may_order_plain{};
};

// Ca by RFC 8555, for one issuance: requests signed by `account`, which take of the allowance. What
// the CA complains about goes into the report. All outlive us.
//
// A challenge or a finalization that the CA (or the pacer) wants to have a little later, by at most
// 30 s, is tried a second time then.
class AcmeCa final : public Ca {
 public:
  AcmeCa(AcmeClient& client, AccountPtr account, Clock& clock, Log& log, AcmeCounts& counts,
         Allowance& allowance, IssuanceReport& report, OrderWishes wishes);

  Task<Order> new_order(ServerName name) override;
  Task<Order> fetch_order(std::string url) override;
  Task<Authorization> fetch_authorization(std::string url) override;
  Task<> accept(std::string challenge_url) override;
  Task<Order> finalize(std::string order_url, std::string url, std::string csr) override;
  Task<Chain> download(std::string url) override;
  std::string key_authorization(const std::string& token) const override;

 private:
  std::string known_profile(const ServerName& name, const Directory& directory) const;
  Task<AcmeReply> order(ServerName name, DirectoryPtr directory);
  Result<> leave_replaces_out(const ServerName& name, const std::string& why);
  AcmeRequest request(Resource resource, std::string url, std::string payload);
  Task<AcmeReply> post(Resource resource, std::string url, std::string payload);
  Task<AcmeReply> post_patiently(Resource resource, std::string url, std::string payload);
  Task<AcmeReply> fetch(Resource resource, std::string url);
  Result<AcmeReply> accepted(AcmeReply reply);

  AcmeClient& client_;
  const AccountPtr account_;
  Clock& clock_;
  Log& log_;
  AcmeCounts& counts_;
  Allowance& allowance_;
  IssuanceReport& report_;
  const OrderWishes wishes_;
  std::string about_;  // the name, once it is ordered
};

}  // namespace latchkey::acme
