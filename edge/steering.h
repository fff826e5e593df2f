#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/renewal.h"
#include "cache/store.h"

namespace latchkey::edge {

// What the operator can see and do while the process runs; the admin API is this over HTTP.
// Strings are JSON objects. Control thread.
class Steering {
 public:
  virtual ~Steering() = default;

  // Of names that are to get a certificate: the configuration's.
  virtual ServerNameRules name_rules() const = 0;

  virtual Task<std::string> status() = 0;
  // The process ends: new visitors are to go elsewhere.
  virtual bool draining() const { return false; }
  virtual std::string budget() = 0;
  // Everything that is known about the name without asking anybody.
  virtual Task<std::string> explain(ServerName name) = 0;

  // Asks the policy, the endpoint included, whatever is remembered.
  virtual Task<std::string> ask(ServerName name) = 0;
  // Gets the certificate now, whatever the failure ledger says, if policy allows the name. The
  // value describes it; the error is the first one, with its remedy.
  virtual Task<std::string> obtain(ServerName name) = 0;

  // Certificates for these names in the background, as the budget allows. How many were taken, and
  // why others were not (the queue is full).
  struct Prefetched {
    size_t taken = 0;
    std::string complaint{};
  };
  virtual Prefetched prefetch(const std::vector<ServerName>& names) = 0;

  // Ends the name: certificate, key, verdict and failures are deleted, work under way is called
  // off. Says what was there, and whether the policy would still allow it.
  virtual Task<std::string> forget(ServerName name) = 0;

  // A page of the stored certificates: {"certificates": [...], "next": the name to go on behind, or
  // null}.
  virtual Task<std::string> list_certificates(CertificateQuery query) = 0;
  // One certificate in full: names, chain (PEM), serial, dates, plan, account; never the key.
  // kNotFound: there is none.
  virtual Task<std::string> show_certificate(ServerName name) = 0;
  // Gets a new certificate now, though the old one is good; waits for it. Dropping the task leaves
  // the order. kNotFound: nothing is stored for exactly that name.
  virtual Task<std::string> renew(ServerName name) = 0;
  // At the CA, by RFC 5280's word (checked); then the certificate is served no more, its key is
  // deleted, and a new one is obtained in the background if policy allows the name. Where the CA
  // does not revoke it, nothing is deleted. Dropping the task leaves the deed to be finished.
  virtual Task<std::string> revoke(ServerName name, std::string reason) = 0;
  // Out of memory; the next visit reads the store.
  virtual Task<std::string> evict(ServerName name) = 0;
  // Forgets the failures and tries in the background.
  virtual Task<std::string> retry(ServerName name) = 0;
  // The newest first. `name`: nullopt for all.
  virtual Task<std::string> events(std::optional<ServerName> name, size_t limit) = 0;

  // The accounts at the CAs; what can be done with one, by the issuer's name. kNotFound: no such
  // issuer. Dropping the task leaves the act to be finished.
  virtual Task<std::string> accounts() = 0;
  enum class AccountAct { kRollKey, kDeactivate, kReactivate };
  virtual Task<std::string> change_account(std::string issuer, AccountAct act) = 0;

  // The embedded authorities and their signers: subject, serial, hash, times; never a key.
  virtual Task<std::string> authorities() = 0;
  // The roots to be trusted, PEM; `issuer` "": of all. kNotFound: there is none.
  virtual Task<std::string> authority_roots(std::string issuer) = 0;
  // A new intermediate now, or a new root and an intermediate under it. `issuer` "": the only one.
  // Dropping the task leaves the act to be finished.
  virtual Task<std::string> rotate_authority(std::string issuer, bool root) = 0;

  // Certificates and accounts of another program's, sent by the command line that has read them.
  // `batch`: {"certificates": [{"chain": PEM, "key": PEM, "issuer", "account", "path", ...}],
  // "accounts": [...], "dry_run": bool}; the value has an outcome for each, in their order. Nothing
  // of it is logged or told but names, paths and reasons.
  virtual Task<std::string> import(std::string batch) = 0;

  // Reads the configuration anew, as HUP does. The value says which keys need a restart.
  virtual Task<std::string> reload() = 0;
};

}  // namespace latchkey::edge
