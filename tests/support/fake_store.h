#pragma once
// A store in memory.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cache/store.h"

namespace latchkey {

class FakeStore final : public Store {
 public:
  // Set: everything fails with it.
  std::optional<Error> broken;
  // Set: puts of certificates, failures, verdicts and buckets, or only self-tests, fail with it.
  std::optional<Error> full;
  std::optional<Error> broken_test;
  // Set: every call takes so long on this clock.
  Clock* clock = nullptr;
  Millis delay{0};

  // What was called, whether it worked or not.
  int self_tests = 0;
  int reads = 0;   // find_certificate(), find_name()
  int writes = 0;  // puts and deletes of all kinds
  int failure_puts = 0;
  int verdict_puts = 0;
  int bucket_puts = 0;
  int sweeps = 0;

  std::map<std::string, AccountRecord> accounts;  // by directory
  std::vector<AccountRecord> account_puts;        // all of them, in order
  std::map<ServerName, CertificatePtr> certificates;
  std::map<ServerName, std::string> issuers;  // that the certificates were put with
  std::map<ServerName, FailureRecord> failures;
  std::map<ServerName, VerdictRecord> verdicts;
  using BucketId = std::tuple<std::string, std::string, std::string>;  // issuer, kind, key
  std::map<BucketId, BucketRecord> buckets;

  Task<> self_test() override {
    ++self_tests;
    co_await reach();
    if (broken_test) co_return *broken_test;
    co_return Unit{};
  }

  Task<CertificatePtr> find_certificate(ServerName name) override {
    ++reads;
    co_await reach();
    co_return certificate_of(name);
  }
  Task<> put_certificate(ServerName name, CertificatePtr certificate, std::string issuer) override {
    co_await reach_to_put();
    certificates[name] = certificate;
    issuers[name] = std::move(issuer);
    const Stored tell = stored_;
    if (tell) tell(name, *certificate);
    co_return Unit{};
  }
  Task<> delete_certificate(ServerName name) override {
    ++writes;
    co_await reach();
    certificates.erase(name);
    co_return Unit{};
  }

  Task<NameRecord> find_name(ServerName name) override {
    ++reads;
    co_await reach();
    NameRecord record;
    record.certificate = certificate_of(name);
    record.failure = row_of(failures, name);
    record.verdict = row_of(verdicts, name);
    co_return record;
  }
  Task<> delete_name(ServerName name) override {
    ++writes;
    co_await reach();
    certificates.erase(name);
    failures.erase(name);
    verdicts.erase(name);
    co_return Unit{};
  }

  Task<> put_failure(ServerName name, FailureRecord failure) override {
    ++failure_puts;
    co_await reach_to_put();
    failures[name] = std::move(failure);
    co_return Unit{};
  }
  Task<> delete_failure(ServerName name) override {
    ++writes;
    co_await reach();
    failures.erase(name);
    co_return Unit{};
  }
  Task<> put_verdict(ServerName name, VerdictRecord verdict) override {
    ++verdict_puts;
    co_await reach_to_put();
    verdicts[name] = std::move(verdict);
    co_return Unit{};
  }
  Task<> delete_verdict(ServerName name) override {
    ++writes;
    co_await reach();
    verdicts.erase(name);
    co_return Unit{};
  }

  Task<std::vector<BucketRecord>> load_buckets(WallTime now) override {
    co_await reach();
    const int64_t at = Millis(now.time_since_epoch()).count();
    std::vector<BucketRecord> found;
    for (const auto& [id, bucket] : buckets) {
      if (std::max(bucket.full_at_ms, bucket.held_until_ms) > at) found.push_back(bucket);
    }
    co_return found;
  }
  Task<> put_buckets(std::vector<BucketRecord> changed) override {
    ++bucket_puts;
    co_await reach_to_put();
    for (BucketRecord& one : changed) {
      const BucketId id(one.issuer, one.kind, one.key);
      buckets[id] = std::move(one);
    }
    co_return Unit{};
  }
  Task<> sweep(WallTime) override {
    ++sweeps;
    co_await reach();
    co_return Unit{};
  }

  void on_stored(Stored listener) override { stored_ = std::move(listener); }

  Task<std::optional<AccountRecord>> find_account(std::string directory) override {
    co_await reach();
    const auto found = accounts.find(directory);
    std::optional<AccountRecord> record;
    if (found != accounts.end()) record = found->second;
    co_return record;
  }
  Task<> put_account(AccountRecord account) override {
    ++writes;
    co_await reach();
    account_puts.push_back(account);
    accounts[account.directory] = std::move(account);
    co_return Unit{};
  }
  Task<> delete_account(std::string directory) override {
    ++writes;
    co_await reach();
    accounts.erase(directory);
    co_return Unit{};
  }
  Task<size_t> count_certificates() override {
    co_await reach();
    co_return certificates.size();
  }

 private:
  CertificatePtr certificate_of(const ServerName& name) const {
    const auto found = certificates.find(name);
    return found == certificates.end() ? CertificatePtr() : found->second;
  }
  template <typename Row>
  static std::optional<Row> row_of(const std::map<ServerName, Row>& rows, const ServerName& name) {
    const auto found = rows.find(name);
    return found == rows.end() ? std::optional<Row>() : std::optional<Row>(found->second);
  }

  Task<> reach() {
    if (clock != nullptr) co_await sleep(*clock, delay);
    if (broken) co_return *broken;
    co_return Unit{};
  }
  Task<> reach_to_put() {
    ++writes;
    co_await reach();
    if (full) co_return *full;
    co_return Unit{};
  }

  Stored stored_;
};

}  // namespace latchkey
