#pragma once
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/mailbox.h"
#include "cache/store.h"

namespace latchkey {

// The store of one machine: SQLite in WAL mode, synchronous=FULL, one writer and two reader
// threads. Database 0600 in a folder 0700; private keys and account keys sealed (SecretBox).
class SqliteStore final : public Store {
 public:
  struct Options {
    std::filesystem::path database;
    std::filesystem::path encryption_key_file;  // made (0600) if it does not exist
  };

  // Opens or makes the database, and migrates its schema. Blocks; called before the loops run.
  // Errors name the file, the cause and the remedy (read-only folder, disk full, not a database,
  // a schema newer than this program, a lost or wrong key file, …).
  static Result<std::unique_ptr<SqliteStore>> open(Options options, Mailbox::Address home,
                                                   Log& log);
  // Finishes what was accepted.
  ~SqliteStore() override;

  Task<> self_test() override;
  Task<CertificatePtr> find_certificate(ServerName name) override;
  Task<> put_certificate(ServerName name, CertificatePtr certificate, std::string issuer) override;
  Task<> delete_certificate(ServerName name) override;
  Task<NameRecord> find_name(ServerName name) override;
  Task<> delete_name(ServerName name) override;
  Task<> put_failure(ServerName name, FailureRecord failure) override;
  Task<> delete_failure(ServerName name) override;
  Task<> put_verdict(ServerName name, VerdictRecord verdict) override;
  Task<> delete_verdict(ServerName name) override;
  Task<std::vector<BucketRecord>> load_buckets(WallTime now) override;
  Task<> put_buckets(std::vector<BucketRecord> buckets) override;
  Task<> sweep(WallTime now) override;
  void on_stored(Stored listener) override;
  Task<std::optional<AccountRecord>> find_account(std::string directory) override;
  Task<> put_account(AccountRecord account) override;
  Task<> delete_account(std::string directory) override;
  Task<size_t> count_certificates() override;

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey
