#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/certificate.h"
#include "cache/failure.h"
#include "cache/grant.h"

namespace latchkey {

// An ACME account as the store keeps it. The key is the most valuable secret of all.
struct AccountRecord {
  std::string directory;  // the CA's directory URL: the account's identity here
  std::string url;        // the account URL (kid)
  std::string key_der;    // PKCS#8
};

// A positive answer of the ask endpoint; a row of the table `verdict`.
struct VerdictRecord {
  WallTime asked{};        // when it was given
  WallTime until{};        // fresh so long
  WallTime stale_until{};  // ... and to be used so long while the endpoint says neither yes nor no
  Grant grant{};
};

// The state of one limit (ondemand/budget.h); a row of the table `bucket`.
struct BucketRecord {
  std::string issuer;         // of the configuration; "" for our own limits
  std::string kind;           // "orders", "domain", ...
  std::string key;            // whom it limits, or ""
  int64_t full_at_ms = 0;     // since 1970: when all of its tokens are back
  int64_t held_until_ms = 0;  // since 1970: nothing before then (a CA's Retry-After); 0: no hold
};

// All that is stored about a name.
struct NameRecord {
  CertificatePtr certificate{};  // as find_certificate()
  std::optional<FailureRecord> failure{};
  std::optional<VerdictRecord> verdict{};
};

// The persistent tier. Called on the control thread; the work is done on the store's own threads.
// What a put's task reports as done is on disk. Errors are kIo with what failed and the remedy.
class Store {
 public:
  virtual ~Store() = default;

  // Writes, reads back, compares and deletes a probe row, and looks at the free space. While this
  // fails no order is made.
  virtual Task<> self_test() = 0;

  // The certificate for `name`, exact before wildcard, the newest; null if there is none. May be
  // expired. A row that cannot be read is quarantined and reported, and counts as none.
  virtual Task<CertificatePtr> find_certificate(ServerName name) = 0;
  // Certificate and key in one transaction; replaces the name's earlier one. `issuer`: its name in
  // the configuration.
  virtual Task<> put_certificate(ServerName name, CertificatePtr certificate,
                                 std::string issuer) = 0;
  virtual Task<> delete_certificate(ServerName name) = 0;

  // One job: the certificate as find_certificate(), and the name's other rows.
  virtual Task<NameRecord> find_name(ServerName name) = 0;
  // All that is stored about the name, its certificate's key included.
  virtual Task<> delete_name(ServerName name) = 0;

  // Replaces the name's earlier row.
  virtual Task<> put_failure(ServerName name, FailureRecord failure) = 0;
  virtual Task<> delete_failure(ServerName name) = 0;
  virtual Task<> put_verdict(ServerName name, VerdictRecord verdict) = 0;
  virtual Task<> delete_verdict(ServerName name) = 0;

  // Those that are not full at `now`, or held. The others are left to sweep().
  virtual Task<std::vector<BucketRecord>> load_buckets(WallTime now) = 0;
  // All of them in one transaction; each replaces its earlier row.
  virtual Task<> put_buckets(std::vector<BucketRecord> buckets) = 0;

  // Deletes some of what time has made useless (at most 100 000 rows of each table, in pieces
  // between which other writes come; the next call goes on behind them): verdicts that are stale
  // for good and failures whose next try lies over 30 days back, of names without a certificate;
  // buckets that are full and not held.
  virtual Task<> sweep(WallTime now) = 0;

  // Called on the control thread after every put_certificate() that is on disk, before its task
  // goes on and also when that was dropped, with the name it was put for and the certificate. One
  // listener; null unsets it.
  using Stored = std::function<void(const ServerName& name, const Certificate& certificate)>;
  virtual void on_stored(Stored listener) = 0;

  virtual Task<std::optional<AccountRecord>> find_account(std::string directory) = 0;
  virtual Task<> put_account(AccountRecord account) = 0;
  virtual Task<> delete_account(std::string directory) = 0;

  // Rows in the certificate table; for status and tests.
  virtual Task<size_t> count_certificates() = 0;
};

}  // namespace latchkey
