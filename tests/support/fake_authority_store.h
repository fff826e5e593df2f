#pragma once
// An authority's store in memory.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/pending.h"
#include "cache/authority_store.h"

namespace latchkey {

class FakeAuthorityStore : public AuthorityStore {
 public:
  using Id = std::pair<std::string, std::string>;  // authority; serial, or id

  // Set: everything fails with it.
  std::optional<Error> broken;
  // Set: what writes fails with it.
  std::optional<Error> full;
  // Set: what writes, or reads, waits for release(). As with the real one, a put that was accepted
  // takes effect also when its task is dropped.
  bool hold_writes = false;
  bool hold_reads = false;

  // What was called, whether it worked or not.
  int reads = 0;
  int key_puts = 0;
  int issued_puts = 0;
  int revocations = 0;
  int account_puts = 0;
  int order_puts = 0;  // put_acme_order(), not those of put_issued()
  int sweeps = 0;

  std::vector<AuthorityKey> keys;
  std::map<Id, IssuedCertificate> issued;
  std::map<Id, AcmeAccountRow> accounts;
  std::map<Id, AcmeOrderRow> orders;

  // How many calls wait.
  size_t held() const { return held_.size(); }
  // Does the first `count` of them; what their tasks go on to do may wait anew.
  void release(size_t count = SIZE_MAX) {
    for (count = std::min(count, held_.size()); count > 0; --count) {
      const std::function<void()> act = std::move(held_.front());
      held_.pop_front();
      act();
    }
  }

  Task<std::vector<AuthorityKey>> load_authority_keys(std::string authority) override {
    return read<std::vector<AuthorityKey>>([this, authority] {
      std::vector<AuthorityKey> found;
      for (const AuthorityKey& one : keys) {
        if (one.authority == authority) found.push_back(one);
      }
      return found;
    });
  }
  Task<int64_t> put_authority_key(AuthorityKey key) override {
    ++key_puts;
    return write<int64_t>([this, key]() mutable -> Result<int64_t> {
      key.id = ++last_key_;
      keys.push_back(key);
      return key.id;
    });
  }

  Task<> put_issued(IssuedCertificate certificate, std::optional<AcmeOrderRow> order) override {
    ++issued_puts;
    return write<Unit>([this, certificate, order]() -> Result<> {
      const Id id(certificate.authority, certificate.serial);
      if (!issued.emplace(id, certificate).second) {
        return Error{ErrorCode::kInvalid, "serial " + id.second + " is there already"};
      }
      if (order) orders.insert_or_assign(Id(order->authority, order->id), *order);
      return Unit{};
    });
  }
  Task<std::optional<IssuedCertificate>> find_issued(std::string authority,
                                                     std::string serial) override {
    return find(issued, Id(std::move(authority), std::move(serial)));
  }
  Task<bool> revoke_issued(std::string authority, std::string serial, WallTime at,
                           int reason) override {
    ++revocations;
    return write<bool>([this, id = Id(authority, serial), at, reason]() -> Result<bool> {
      const auto found = issued.find(id);
      if (found == issued.end() || found->second.revoked_at) return false;
      found->second.revoked_at = at;
      found->second.reason = reason;
      return true;
    });
  }
  Task<std::vector<IssuedCertificate>> list_revoked(std::string authority, int64_t signer,
                                                    WallTime now) override {
    return read<std::vector<IssuedCertificate>>([this, authority, signer, now] {
      std::vector<IssuedCertificate> found;
      for (const auto& [id, one] : issued) {
        const bool fits = id.first == authority && one.signer == signer && one.not_after >= now;
        if (!fits || !one.revoked_at) continue;
        found.push_back(one);
        found.back().leaf.clear();
      }
      return found;
    });
  }

  Task<> put_acme_account(AcmeAccountRow account) override {
    ++account_puts;
    return write<Unit>([this, account]() -> Result<> {
      const auto other = by_key(account.authority, account.thumbprint);
      if (other && other->id != account.id) {
        return Error{ErrorCode::kInvalid, "account " + other->id + " has that key"};
      }
      accounts.insert_or_assign(Id(account.authority, account.id), account);
      return Unit{};
    });
  }
  Task<std::optional<AcmeAccountRow>> find_acme_account(std::string authority,
                                                        std::string id) override {
    return find(accounts, Id(std::move(authority), std::move(id)));
  }
  Task<std::optional<AcmeAccountRow>> find_acme_account_by_key(std::string authority,
                                                               std::string thumbprint) override {
    return read<std::optional<AcmeAccountRow>>(
        [this, authority, thumbprint] { return by_key(authority, thumbprint); });
  }
  Task<size_t> count_acme_accounts(std::string authority) override {
    return read<size_t>([this, authority] {
      return static_cast<size_t>(
          std::count_if(accounts.begin(), accounts.end(),
                        [&](const auto& one) { return one.first.first == authority; }));
    });
  }

  Task<> put_acme_order(AcmeOrderRow order) override {
    ++order_puts;
    return write<Unit>([this, order]() -> Result<> {
      orders.insert_or_assign(Id(order.authority, order.id), order);
      return Unit{};
    });
  }
  Task<std::optional<AcmeOrderRow>> find_acme_order(std::string authority,
                                                    std::string id) override {
    return find(orders, Id(std::move(authority), std::move(id)));
  }
  Task<std::vector<std::string>> list_acme_orders(std::string authority, std::string account,
                                                  std::string after, size_t limit) override {
    return read<std::vector<std::string>>([this, authority, account, after, limit] {
      std::vector<std::string> found;
      for (const auto& [id, one] : orders) {
        const bool fits = id.first == authority && one.account == account && id.second > after;
        if (fits && found.size() < limit) found.push_back(id.second);
      }
      return found;
    });
  }

  Task<std::vector<std::string>> last_acme_orders(std::string authority, std::string account,
                                                  size_t limit) override {
    return read<std::vector<std::string>>([this, authority, account, limit] {
      std::vector<std::string> found;
      for (auto one = orders.rbegin(); one != orders.rend() && found.size() < limit; ++one) {
        const bool fits = one->first.first == authority && one->second.account == account;
        if (fits) found.push_back(one->first.second);
      }
      return found;
    });
  }

  Task<bool> sweep_authority(std::string authority, WallTime now,
                             WallTime certificates_before) override {
    ++sweeps;
    return write<bool>([this, authority, now, certificates_before]() -> Result<bool> {
      std::erase_if(orders, [&](const auto& one) {
        return one.first.first == authority && one.second.expires < now;
      });
      std::erase_if(issued, [&](const auto& one) {
        return one.first.first == authority && one.second.not_after < certificates_before;
      });
      std::erase_if(keys, [&](const AuthorityKey& one) {
        return one.authority == authority && one.not_after < certificates_before;
      });
      return true;
    });
  }

 private:
  template <typename T>
  Task<T> act(bool hold, std::function<Result<T>()> job) {
    if (!hold) co_return job();
    auto answer = std::make_shared<Pending<T>>();
    held_.push_back([waiting = std::weak_ptr(answer), job = std::move(job)] {
      Result<T> result = job();
      if (const auto to = waiting.lock()) to->resolve(std::move(result));
    });
    Pending<T>& waiter = *answer;  // named: g++ 12 would copy `*answer`
    Result<T> result = co_await waiter;
    co_return result;
  }
  template <typename T>
  Task<T> write(std::function<Result<T>()> job) {
    std::function<Result<T>()> checked = [this, job = std::move(job)]() -> Result<T> {
      if (broken) return *broken;
      if (full) return *full;
      return job();
    };
    return act<T>(hold_writes, std::move(checked));
  }
  template <typename T>
  Task<T> read(std::function<T()> job) {
    ++reads;
    std::function<Result<T>()> checked = [this, job = std::move(job)]() -> Result<T> {
      if (broken) return *broken;
      return job();
    };
    return act<T>(hold_reads, std::move(checked));
  }
  template <typename Row>
  Task<std::optional<Row>> find(const std::map<Id, Row>& rows, Id id) {
    return read<std::optional<Row>>([&rows, id = std::move(id)]() -> std::optional<Row> {
      const auto found = rows.find(id);
      if (found == rows.end()) return std::nullopt;
      return found->second;
    });
  }
  std::optional<AcmeAccountRow> by_key(const std::string& authority,
                                       const std::string& thumbprint) const {
    for (const auto& [id, one] : accounts) {
      if (id.first == authority && one.thumbprint == thumbprint) return one;
    }
    return std::nullopt;
  }

  int64_t last_key_ = 0;
  std::deque<std::function<void()>> held_;
};

}  // namespace latchkey
