#pragma once
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "acme/authority/jws_key.h"
#include "base/clock.h"
#include "base/pending.h"
#include "base/task.h"
#include "base/task_set.h"
#include "cache/authority_store.h"
#include "cache/lru.h"

namespace latchkey::acme {

// An account (RFC 8555, 7.1.2), with its key parsed.
struct ServerAccount {
  std::string id;
  JwsKey key;
  std::vector<std::string> contacts{};
  bool deactivated = false;
  std::string external_kid{};  // of the binding that it was made with; "": none
  WallTime created{};

  AcmeAccountRow row(const std::string& authority) const;
  static Result<ServerAccount> from_row(const AcmeAccountRow& row);
  // The account object.
  std::string object(std::string_view base) const;
};
using ServerAccountPtr = std::shared_ptr<const ServerAccount>;

// The accounts of an authority: the store's, the last used in memory, so that a request costs
// no read and no parsing of a key. Control thread.
class ServerAccounts {
 public:
  static constexpr size_t kMaxCached = 10'000;  // <= 4 KiB each, save for long contacts

  ServerAccounts(std::string authority, AuthorityStore& store)
      : authority_(std::move(authority)), store_(store), cache_(kMaxCached, SIZE_MAX) {}

  // Only one change of an account at a time, so that none undoes another. False: one is under way.
  class Change {
   public:
    Change() = default;  // of an account that nobody knows yet
    Change(ServerAccounts& accounts, const std::string& id) : id_(id) {
      if (accounts.changing_.insert(id).second) accounts_ = &accounts;
    }
    Change(Change&& other) noexcept
        : accounts_(std::exchange(other.accounts_, nullptr)), id_(std::move(other.id_)) {}
    ~Change() {
      if (accounts_ != nullptr) accounts_->changing_.erase(id_);
    }
    explicit operator bool() const { return accounts_ != nullptr; }

   private:
    ServerAccounts* accounts_ = nullptr;
    std::string id_{};
  };

  // Null: there is none.
  Task<ServerAccountPtr> find(std::string id);
  Task<ServerAccountPtr> find_by_key(std::string thumbprint);
  // kInvalid: another account has that key. Once begun it is done also when the task is dropped;
  // `change` ends with it.
  Task<> put(ServerAccountPtr account, Change change);
  Task<size_t> count() { return store_.count_acme_accounts(authority_); }

 private:
  Result<ServerAccountPtr> keep(const std::optional<AcmeAccountRow>& row);
  Task<> write(ServerAccountPtr account, Change change, std::weak_ptr<Pending<>> waiting);

  const std::string authority_;
  AuthorityStore& store_;
  Lru<ServerAccount> cache_;                  // by id
  std::unordered_set<std::string> changing_;  // <= the puts under way and the requests in flight
  TaskSet puts_;  // <= the changes, and new accounts as far as their limits of rate go
};

}  // namespace latchkey::acme
