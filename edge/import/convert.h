#pragma once
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/certificate.h"
#include "cache/store.h"
#include "edge/config.h"
#include "edge/import/entry.h"

namespace latchkey::edge {

// What is filed under an issuer that the configuration does not have: the configuration's first
// renews it.
inline constexpr std::string_view kImportedIssuer = "imported";

// What a certificate of a tree comes to.
struct JudgedEntry {
  CertificatePtr certificate;
  ServerName name;  // one of its names; a wildcard, then an address, if it has no other
};

// Parses chain and key, and looks whether it can be served. Any thread. Otherwise the reason;
// damaged: the files are not what they should be.
std::variant<JudgedEntry, ImportSkip> judge_entry(const ImportEntry& entry, WallTime now);

// The names that a certificate can be stored under, in its order.
std::vector<ServerName> usable_names(const Certificate& certificate);

// Is the leaf's key RSA? Cheap; false for what does not parse.
bool has_rsa_leaf(std::string_view chain_pem);

// How what was judged is filed: by the issuers of a configuration.
class ImportFiling {
 public:
  ImportFiling(const std::vector<Config::Issuer>& issuers, const RenewalRules& renewal);

  // `now`: the plan is made from then on; polls of the CA's renewal window are spread over a day.
  // Not for who is not among the issuers and hands out certificates for tests: the reason.
  std::variant<ImportedCertificate, ImportSkip> file(JudgedEntry judged, const ImportEntry& entry,
                                                     WallTime now, std::minstd_rand& random) const;
  // kInvalid: a key that cannot be an account's, no directory.
  Result<AccountRecord> file(const ImportAccount& account) const;

 private:
  struct Issuer {
    std::string name, directory;
  };
  const Issuer* find(const std::string& directory) const;
  RenewalPlan plan(const Certificate& certificate, const ImportEntry& entry, bool ask_ca,
                   WallTime now, std::minstd_rand& random) const;

  std::vector<Issuer> issuers_;
  RenewalRules renewal_;
};

}  // namespace latchkey::edge
