#pragma once
// A store in memory.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/store.h"

namespace latchkey {

class FakeStore final : public Store {
 public:
  // Set: everything fails with it.
  std::optional<Error> broken;
  // Set: puts of certificates, or only self-tests, fail with it.
  std::optional<Error> full;
  std::optional<Error> broken_test;
  int self_tests = 0;
  std::map<std::string, AccountRecord> accounts;  // by directory
  std::vector<AccountRecord> account_puts;        // all of them, in order
  std::map<ServerName, CertificatePtr> certificates;
  // Set: every call takes so long on this clock.
  Clock* clock = nullptr;
  Millis delay{0};

  Task<> self_test() override {
    ++self_tests;
    co_await reach();
    if (broken_test) co_return *broken_test;
    co_return Unit{};
  }
  Task<CertificatePtr> find_certificate(ServerName name) override {
    co_await reach();
    const auto found = certificates.find(name);
    co_return found == certificates.end() ? CertificatePtr() : found->second;
  }
  Task<> put_certificate(ServerName name, CertificatePtr certificate, std::string) override {
    co_await reach();
    if (full) co_return *full;
    certificates[name] = std::move(certificate);
    co_return Unit{};
  }
  Task<> delete_certificate(ServerName name) override {
    co_await reach();
    certificates.erase(name);
    co_return Unit{};
  }
  Task<std::optional<AccountRecord>> find_account(std::string directory) override {
    co_await reach();
    const auto found = accounts.find(directory);
    std::optional<AccountRecord> record;
    if (found != accounts.end()) record = found->second;
    co_return record;
  }
  Task<> put_account(AccountRecord account) override {
    co_await reach();
    account_puts.push_back(account);
    accounts[account.directory] = std::move(account);
    co_return Unit{};
  }
  Task<> delete_account(std::string directory) override {
    co_await reach();
    accounts.erase(directory);
    co_return Unit{};
  }
  Task<size_t> count_certificates() override {
    co_await reach();
    co_return certificates.size();
  }

 private:
  Task<> reach() {
    if (clock != nullptr) co_await sleep(*clock, delay);
    if (broken) co_return *broken;
    co_return Unit{};
  }
};

}  // namespace latchkey
