#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/certificate.h"
#include "cache/event.h"
#include "cache/failure.h"
#include "cache/grant.h"
#include "cache/renewal.h"
#include "cache/staple.h"

namespace latchkey {

// An ACME account as the store keeps it. The key is the most valuable secret of all.
struct AccountRecord {
  std::string directory;       // the CA's directory URL: the account's identity here
  std::string url;             // the account URL (kid)
  std::string key_der;         // PKCS#8
  std::string next_key_der{};  // that the CA may have taken for it: a key rollover under way
  std::string eab_kid{};       // of the external account it is bound to, or ""
  bool deactivated = false;    // by the operator; nothing is ordered with it
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
  CertificatePtr certificate{};           // as find_certificate()
  std::optional<CertificateInfo> info{};  // of the certificate
  std::optional<FailureRecord> failure{};
  std::optional<VerdictRecord> verdict{};
  std::optional<PendingOrder> order{};
};

// What the scheduler is to look at.
struct DueCertificates {
  std::vector<CertificateInfo> due;     // look_at has come, the longest ago first
  WallTime next = RenewalPlan::kNever;  // when the first of the others is due
};

// A page of the certificates, by name.
struct CertificateQuery {
  std::string after{};     // names behind this one
  std::string contains{};  // only names with this in them
  std::optional<WallTime> ends_before{};
  size_t limit = 100;  // <= 1000
};

struct SweepReport {
  std::vector<std::string> deleted;  // names whose expired certificates went; at most 1000 are told
};

// A certificate from elsewhere, to be stored with many others.
struct ImportedCertificate {
  ServerName name;  // one of its names, to file it under; a wildcard if it has no other
  CertificatePtr certificate;
  CertificateOrigin origin;
};
enum class ImportOutcome {
  kStored,
  kSame,   // is there already
  kNewer,  // one that ends later is there, under each of its names
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
  // expired, but a wildcard that is good goes before an exact one that is not. A row that cannot be
  // read is quarantined and reported, and counts as none. With its staple where there is one that
  // is still good. Slot::kRsa finds also a kMain with an RSA key, and never another key.
  virtual Task<CertificatePtr> find_certificate(ServerName name, Slot slot = Slot::kMain) = 0;
  // Certificate and key in one transaction; replaces the name's earlier one in origin.slot. The
  // pending order of name and slot ends in the same transaction. One with an OCSP responder gets
  // its staple row in the same transaction (look_at: now; the certificate's staple, if it has one).
  virtual Task<> put_certificate(ServerName name, CertificatePtr certificate,
                                 CertificateOrigin origin) = 0;
  // In both slots.
  virtual Task<> delete_certificate(ServerName name) = 0;
  // The certificate of that row with its key, whatever names lead to it, and its staple. The names
  // that led to it (wildcards too).
  virtual Task<std::vector<std::string>> delete_certificate_row(int64_t id) = 0;
  // In one transaction (which is as durable as the others), each by itself good or bad: of what
  // cannot be stored the error says why, and the others are stored. As many results, in the same
  // order. on_stored() is told of each that was stored.
  virtual Task<std::vector<Result<ImportOutcome>>> import_certificates(
      std::vector<ImportedCertificate> batch) = 0;

  // One job: the certificate (and its order) in that slot as find_certificate(), and the name's
  // other rows.
  virtual Task<NameRecord> find_name(ServerName name, Slot slot = Slot::kMain) = 0;
  // All that is stored about the name, its certificates' keys included, save its events.
  virtual Task<> delete_name(ServerName name) = 0;

  // By the index on look_at: the cost does not depend on how many there are.
  virtual Task<DueCertificates> find_due(WallTime now, size_t limit) = 0;
  // Of the row with that id; nothing happens where it has gone.
  virtual Task<> put_plan(int64_t id, RenewalPlan plan) = 0;
  // These names were visited at `now`. What was left alone for want of visits (look_at kNever) is
  // looked at again. Many of them are written in pieces between which other writes come.
  virtual Task<> note_uses(std::vector<SlotName> names, WallTime now) = 0;
  virtual Task<std::vector<CertificateInfo>> list_certificates(CertificateQuery query) = 0;

  // An order under way: replaces the name's earlier one of that slot.
  virtual Task<> put_order(PendingOrder order) = 0;
  virtual Task<> delete_order(ServerName name, Slot slot = Slot::kMain) = 0;
  // Those that a crash has left, the oldest first.
  virtual Task<std::vector<PendingOrder>> load_orders(size_t limit) = 0;

  // Replaces the leaf's earlier row.
  virtual Task<> put_staple(StapleRecord record) = 0;
  virtual Task<> delete_staple(std::string leaf) = 0;
  virtual Task<std::optional<StapleRecord>> find_staple(std::string leaf) = 0;
  // By an index on look_at.
  virtual Task<DueStaples> find_due_staples(WallTime now, size_t limit) = 0;
  // The rows that are looked at after `late`, save those that never are, are due at `at`: a clock
  // that ran ahead has written them. By the index.
  virtual Task<> hasten_staples(WallTime late, WallTime at) = 0;

  // The value is its id. Before the record is published.
  virtual Task<int64_t> put_dns_proof(DnsProof proof) = 0;
  virtual Task<> delete_dns_proof(int64_t id) = 0;
  virtual Task<std::vector<DnsProof>> load_dns_proofs(size_t limit) = 0;

  // In one transaction; of each name the newest 100 stay (of those without a name 10 000).
  virtual Task<> put_events(std::vector<Event> events) = 0;
  // The newest first. `name`: "" for all.
  virtual Task<std::vector<Event>> find_events(std::string name, size_t limit) = 0;

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
  // buckets that are full and not held; events whose time is over; orders that are older than 7
  // days; certificates that expired `keep_expired` ago, with their keys; staples of leaves that
  // have ended.
  virtual Task<SweepReport> sweep(WallTime now, Millis keep_expired) = 0;

  // Seals anew, a bounded piece at a time, what is sealed with a key that is not the newest. True:
  // nothing is left, older keys may be taken out of the key file.
  virtual Task<bool> reseal() = 0;

  // Called on the control thread after every put_certificate() (and imported certificate) that is
  // on disk, before its task goes on and also when that was dropped, with the name and slot it was
  // put for and the certificate. One listener; null unsets it.
  using Stored =
      std::function<void(const ServerName& name, Slot slot, const CertificatePtr& certificate)>;
  virtual void on_stored(Stored listener) = 0;

  // The same for a certificate that could not be read and was moved aside: its name, and why.
  using Quarantined = std::function<void(const std::string& name, const std::string& cause)>;
  virtual void on_quarantined(Quarantined listener) = 0;

  virtual Task<std::optional<AccountRecord>> find_account(std::string directory) = 0;
  virtual Task<> put_account(AccountRecord account) = 0;
  virtual Task<> delete_account(std::string directory) = 0;

  // Rows in the certificate table; for status and tests.
  virtual Task<size_t> count_certificates() = 0;
};

}  // namespace latchkey
