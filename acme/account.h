#pragma once
#include <memory>
#include <optional>
#include <string>

#include "acme/client.h"
#include "acme/jws.h"
#include "acme/single_flight.h"
#include "cache/store.h"

namespace latchkey::acme {

struct Account {
  AccountKey key;
  std::string url;  // the kid
};
using AccountPtr = std::shared_ptr<const Account>;

// What came of looking for our account; with it, when it failed, whose fault that was.
struct AccountOutcome {
  Result<AccountPtr> account = AccountPtr();
  bool storage_failed = false;
  std::optional<Problem> problem{};    // what the CA said
  std::optional<Throttle> throttle{};  // ... if it told us to stay away
};

// The one account that we have at a CA: found in the store, or registered and stored. Control
// thread.
class AccountKeeper {
 public:
  struct Options {
    std::string email;  // "" for none
    bool accept_terms = false;
  };

  // All outlive us.
  AccountKeeper(Options options, AcmeClient& client, Store& store, Log& log);

  // Callers at the same time share one registration. The key is on disk before the CA hears of it,
  // and newAccount finds the account of a key that it knows: so none is ever lost.
  Task<AccountOutcome> get();

  // The CA says that it does not know `account`: the next get() registers the same key anew.
  void forget(const AccountPtr& account);

 private:
  Task<AccountOutcome> make();
  Task<AccountPtr> find_or_register(AccountOutcome& outcome);
  Task<AccountKey> stored_key(AccountRecord record);
  Task<AccountPtr> register_key(AccountKey key, AccountOutcome& outcome);
  Task<> store(AccountRecord record, AccountOutcome& outcome);
  Result<std::string> registration(const Directory& directory) const;

  const Options options_;
  AcmeClient& client_;
  Store& store_;
  Log& log_;
  AccountPtr account_;       // null until it is asked for
  std::string unknown_url_;  // an account URL that the CA disowned
  SingleFlight<AccountOutcome> flight_;
};

}  // namespace latchkey::acme
