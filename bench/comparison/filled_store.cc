#include "bench/comparison/filled_store.h"

#include <cstdio>
#include <random>

#include "base/check.h"
#include "base/log.h"
#include "base/loop.h"
#include "cache/private_key.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_certificates.h"
#include "cache/sqlite_store.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::bench {
namespace {

constexpr int64_t kAtOnce = 50'000;  // a transaction, so that the write-ahead log stays small
constexpr unsigned kMonth = 30 * 24 * 3600;  // seconds

// With these a leaf of ours is as large as one of a public CA: about 950 bytes.
constexpr size_t kSctBytes = 480;

// The first row, as the program itself writes it.
void put_first(const StoreFiles& files, const CertificatePtr& certificate) {
  Log log(2, Log::Format::kText, LogLevel::kError);
  Loop loop;
  auto store = SqliteStore::open({files.database, files.key}, loop.address(), log);
  if (!store) std::fprintf(stderr, "%s\n", store.error().message.c_str());
  CHECK(store);
  const ServerName name = *ServerName::parse(stored_name(0));
  CHECK(test::run(loop, (*store)->put_certificate(name, certificate, "ca")));
}

class Rows {
 public:
  Rows(const StoreFiles& files, const CertificatePtr& certificate)
      : connection_(*sqlite::Connection::open(files.database)),
        box_(*SecretBox::from_file(files.key)),
        leaf_(certificate->chain_der().front()),
        key_(private_key_to_der(certificate->key())) {}
  ~Rows() { wipe(key_); }

  void execute(const std::string& sql) {
    const auto done = connection_->execute(sql);
    if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
    CHECK(done);
  }

  void copy_first_to(int64_t i) {
    const std::string name = stored_name(i);
    {
      sqlite::Query query = connection_->query(
          "INSERT INTO certificate (id, name, key_type, generation, issuer, account, not_before, "
          "not_after, renew_at, end_at, serial, look_at, last_used, leaf, chain_id, sealed_key) "
          "SELECT ?1, ?2, key_type, 1, issuer, account, not_before, not_after, renew_at + ?3, "
          "end_at + ?3, serial, look_at + ?3, last_used, leaf, chain_id, ?4 FROM certificate "
          "WHERE id = 1");
      query.bind(i + 1).bind(name).bind(static_cast<int64_t>(random_() % kMonth));
      query.bind_blob(box_.seal(key_, sqlite::certificate_context(name, leaf_)));
      CHECK(query.run());
    }
    sqlite::Query query = connection_->query("INSERT INTO certificate_name VALUES (?, ?)");
    CHECK(query.bind(name).bind(i + 1).run());
  }

 private:
  std::unique_ptr<sqlite::Connection> connection_;
  const SecretBox box_;
  const std::string leaf_;
  std::string key_;
  std::minstd_rand random_{1};
};

}  // namespace

std::string stored_name(int64_t i) {
  return "n" + std::to_string(i) + std::string(kStoredSuffix);
}

std::string stored_range() {
  return "n%d" + std::string(kStoredSuffix);
}

OneCertificate make_one_certificate() {
  const PrivateKey key = generate_p256_key();
  OneCertificate one;
  TestCa ca("Bench");
  ca.sct_bytes = kSctBytes;
  one.chain_pem = ca.issue_pem({stored_name(0)}, key);
  one.key_pem = private_key_pem(key);
  one.certificate = *Certificate::from_pem(one.chain_pem, key);
  return one;
}

void fill_store(const std::filesystem::path& state_dir, int64_t count,
                const CertificatePtr& certificate) {
  std::filesystem::create_directories(state_dir);
  const StoreFiles files = StoreFiles::in(state_dir);
  put_first(files, certificate);
  Rows rows(files, certificate);
  rows.execute("PRAGMA synchronous=OFF; PRAGMA cache_size=-600000");
  for (int64_t i = 1; i < count; ++i) {
    if (i % kAtOnce == 1) rows.execute("BEGIN");
    rows.copy_first_to(i);
    if (i % kAtOnce == 0 || i + 1 == count) rows.execute("COMMIT");
  }
  rows.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

std::string fill_folder(const std::filesystem::path& folder, int count) {
  std::filesystem::create_directories(folder);
  TestCa ca("Bench");
  ca.sct_bytes = kSctBytes;
  const PrivateKey key = generate_p256_key();
  const std::string key_text = private_key_pem(key);
  std::string list;
  for (int i = 0; i < count; ++i) {
    const std::string name = stored_name(i);
    const std::filesystem::path file = folder / (name + ".pem");
    test::write_text(file, ca.issue_pem({name}, key) + key_text);
    list.append(file.string()).append(" ").append(name).append("\n");
  }
  return list;
}

}  // namespace latchkey::bench
