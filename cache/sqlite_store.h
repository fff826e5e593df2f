#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/mailbox.h"
#include "cache/authority_store.h"
#include "cache/secret_box.h"
#include "cache/store.h"

namespace latchkey {

namespace sqlite {
class Connection;
}

// The store of one machine: SQLite in WAL mode, synchronous=FULL, one writer and two reader
// threads. Database 0600 in a folder 0700; private keys and account keys sealed (SecretBox).
class SqliteStore final : public Store {
 public:
  struct Options {
    std::filesystem::path database;
    std::filesystem::path encryption_key_file;  // made (0600) if it does not exist
    std::string vfs{};                          // of SQLite; "": the default one
    // For a second process, while the first one runs or not: nothing is written or made, and what
    // would write is an error. A row that cannot be read is an error, too, and stays.
    bool read_only = false;
  };

  // Opens or makes the database, and migrates its schema. Blocks; called before the loops run.
  // Errors name the file, the cause and the remedy (read-only folder, disk full, not a database,
  // a schema newer than this program, a lost or wrong key file, …).
  static Result<std::unique_ptr<SqliteStore>> open(Options options, Mailbox::Address home,
                                                   Log& log);
  // Finishes what was accepted.
  ~SqliteStore() override;

  // See SecretBox::derive().
  std::string derive_secret(std::string_view purpose) const;
  // The same file's part for embedded authorities. Lives as long as we do.
  AuthorityStore& authority_store();

  Task<> self_test() override;
  Task<CertificatePtr> find_certificate(ServerName name, Slot slot = Slot::kMain) override;
  Task<> put_certificate(ServerName name, CertificatePtr certificate,
                         CertificateOrigin origin) override;
  Task<> delete_certificate(ServerName name) override;
  Task<std::vector<std::string>> delete_certificate_row(int64_t id) override;
  Task<std::vector<Result<ImportOutcome>>> import_certificates(
      std::vector<ImportedCertificate> batch) override;
  Task<NameRecord> find_name(ServerName name, Slot slot = Slot::kMain) override;
  Task<> delete_name(ServerName name) override;
  Task<DueCertificates> find_due(WallTime now, size_t limit) override;
  Task<> put_plan(int64_t id, RenewalPlan plan) override;
  Task<> note_uses(std::vector<SlotName> names, WallTime now) override;
  Task<std::vector<CertificateInfo>> list_certificates(CertificateQuery query) override;
  Task<> put_order(PendingOrder order) override;
  Task<> delete_order(ServerName name, Slot slot = Slot::kMain) override;
  Task<std::vector<PendingOrder>> load_orders(size_t limit) override;
  Task<> put_staple(StapleRecord record) override;
  Task<> delete_staple(std::string leaf) override;
  Task<std::optional<StapleRecord>> find_staple(std::string leaf) override;
  Task<DueStaples> find_due_staples(WallTime now, size_t limit) override;
  Task<> hasten_staples(WallTime late, WallTime at) override;
  Task<int64_t> put_dns_proof(DnsProof proof) override;
  Task<> delete_dns_proof(int64_t id) override;
  Task<std::vector<DnsProof>> load_dns_proofs(size_t limit) override;
  Task<> put_events(std::vector<Event> events) override;
  Task<std::vector<Event>> find_events(std::string name, size_t limit) override;
  Task<> put_failure(ServerName name, FailureRecord failure) override;
  Task<> delete_failure(ServerName name) override;
  Task<> put_verdict(ServerName name, VerdictRecord verdict) override;
  Task<> delete_verdict(ServerName name) override;
  Task<std::vector<BucketRecord>> load_buckets(WallTime now) override;
  Task<> put_buckets(std::vector<BucketRecord> buckets) override;
  Task<SweepReport> sweep(WallTime now, Millis keep_expired) override;
  Task<bool> reseal() override;
  void on_stored(Stored listener) override;
  void on_quarantined(Quarantined listener) override;
  Task<std::optional<AccountRecord>> find_account(std::string directory) override;
  Task<> put_account(AccountRecord account) override;
  Task<> delete_account(std::string directory) override;
  Task<size_t> count_certificates() override;

 private:
  struct Impl;
  class Authorities;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  static Result<std::unique_ptr<SqliteStore>> open_read_only(const Options& options,
                                                             Mailbox::Address home, Log& log);
  static Result<std::unique_ptr<SqliteStore>> with_readers(
      const Options& options, Mailbox::Address home, Log& log, SecretBox box,
      std::unique_ptr<sqlite::Connection> writer);
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey
