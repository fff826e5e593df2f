#pragma once
#include <memory>
#include <optional>
#include <string>

#include "acme/authority/authority.h"
#include "acme/key_maker.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "cache/authority_store.h"
#include "edge/allowed_names.h"
#include "edge/config.h"
#include "ondemand/order.h"

namespace latchkey::edge {

// An embedded authority as an issuer of this edge: the key is made and the certificate signed here,
// nobody has to prove anything. Control thread.
class AuthoritySource final : public CertificateSource {
 public:
  // `home`: the control thread's; nullopt: RSA keys are made in place. What is referred to outlives
  // us.
  AuthoritySource(std::string name, const AuthorityConfig& config, acme::Authority& authority,
                  AuthorityStore& store, std::optional<Mailbox::Address> home, Log& log);
  AuthoritySource(const AuthoritySource&) = delete;

  const std::string& name() const override { return name_; }
  bool embedded() const override { return true; }
  Task<OrderOutcome> order(OrderJob job) override;
  bool replaces(const OrderJob&) const override { return false; }
  bool proves_wildcards() const override { return true; }
  Task<RenewalAdvice> renewal_advice(CertificatePtr certificate) override;
  Task<> revoke(CertificatePtr certificate, std::string reason) override;

  size_t signed_count() const { return signed_; }
  acme::Authority& authority() { return authority_; }

 private:
  std::string key_type(const OrderJob& job) const;
  Task<CertificatePtr> make(ServerName name, std::string key_type);

  const std::string name_;
  const std::optional<AllowedNames> allowed_;  // none: what policy allows
  acme::Authority& authority_;
  AuthorityStore& store_;
  Log& log_;
  acme::KeyMaker keys_;
  size_t signed_ = 0;  // since the start
};

}  // namespace latchkey::edge
