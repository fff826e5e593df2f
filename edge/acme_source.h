#pragma once
#include <memory>
#include <string>

#include "acme/challenges.h"
#include "acme/issuer.h"
#include "acme/pacer.h"
#include "base/curl_http_client.h"
#include "base/log.h"
#include "base/loop.h"
#include "cache/store.h"
#include "edge/config.h"
#include "ondemand/budget.h"
#include "ondemand/budget_keeper.h"
#include "ondemand/events.h"
#include "ondemand/order.h"

namespace latchkey::edge {

// One ACME issuer of the configuration, as the on-demand side sees it: orders go to the ACME
// client, its requests are paced by the budget, and what the CA forbids goes into the budget.
// Control thread.
class AcmeSource final : public CertificateSource, private acme::Pacer {
 public:
  // What all issuers share; all outlive them.
  struct Parts {
    Loop& loop;
    Store& store;
    acme::ChallengeTable& challenges;
    Budget& budget;
    BudgetKeeper& keeper;
    EventSink& events;
    Log& log;
    acme::DnsProver* dns = nullptr;  // null: dns-01 is not configured
  };

  // `index`: of the issuer in the configuration and in the budget. `eab_key`: what its
  // eab.hmac_key_file holds, decoded; "" where there is none.
  AcmeSource(const Config& config, size_t index, std::string eab_key, Parts parts);
  AcmeSource(const AcmeSource&) = delete;

  const std::string& name() const override { return issuer_->name(); }
  Task<OrderOutcome> order(OrderJob job) override;
  bool replaces(const OrderJob& job) const override;
  bool proves_wildcards() const override { return proves_wildcards_; }
  Task<RenewalAdvice> renewal_advice(CertificatePtr certificate) override;
  Task<> revoke(CertificatePtr certificate, std::string reason) override;

  // See AcmeIssuer::prepare().
  Task<> prepare();
  const std::string& directory() const { return directory_; }
  // The account's acts are the operator's.
  acme::AcmeIssuer& issuer() { return *issuer_; }
  const acme::AcmeIssuer::Counts& counts() const { return issuer_->counts(); }

 private:
  Task<> before(acme::Resource resource) override;
  void throttled(const acme::Throttle& throttle) override;

  const size_t index_;
  const std::string directory_;
  const Parts parts_;
  const bool proves_wildcards_;
  // The last throttle that was told.
  LimitKind told_kind_ = LimitKind::kOrders;
  std::string told_key_;
  TimePoint told_until_{};
  std::unique_ptr<CurlHttpClient> http_;
  std::unique_ptr<acme::AcmeIssuer> issuer_;
};

std::string user_agent();

}  // namespace latchkey::edge
