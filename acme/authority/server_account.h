#pragma once
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "acme/authority/jws_key.h"
#include "base/clock.h"
#include "base/task.h"
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

  // Null: there is none.
  Task<ServerAccountPtr> find(std::string id);
  Task<ServerAccountPtr> find_by_key(std::string thumbprint);
  // kInvalid: another account has that key.
  Task<> put(ServerAccountPtr account);
  Task<size_t> count() { return store_.count_acme_accounts(authority_); }

  // Only one change of an account at a time, so that none undoes another. False: one is under way.
  class Change {
   public:
    Change(ServerAccounts& accounts, const std::string& id)
        : accounts_(accounts), id_(id), mine_(accounts.changing_.insert(id).second) {}
    Change(const Change&) = delete;
    ~Change() {
      if (mine_) accounts_.changing_.erase(id_);
    }
    explicit operator bool() const { return mine_; }

   private:
    ServerAccounts& accounts_;
    const std::string id_;
    const bool mine_;
  };

 private:
  Result<ServerAccountPtr> keep(const std::optional<AcmeAccountRow>& row);

  const std::string authority_;
  AuthorityStore& store_;
  Lru<ServerAccount> cache_;                  // by id
  std::unordered_set<std::string> changing_;  // <= the requests in flight
};

}  // namespace latchkey::acme
