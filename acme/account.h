#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "acme/account_status.h"
#include "acme/client.h"
#include "acme/external_account.h"
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
//
// A key is on disk before the CA hears of it, and a CA finds the account of a key that it knows: so
// neither account nor key is lost by a crash at any point. While a new key takes the place of the
// stored one (AccountRecord::next_key_der), whoever asks next finds out which of the two the CA
// has.
//
// One whose record has another kid than the configuration is given up for a new one, bound to that.
// A record without a kid (an account that was brought along, or that is older than the kid in the
// configuration) is used as it is for as long as the CA knows it; its key is bound when it has to
// be registered anew.
//
// For whom an account was got: it stays as it is, while the keeper may come to have another one. A
// request signed by `account` that the CA refused as accountDoesNotExist, unauthorized or malformed
// when superseded(account) is worth a second try, once, with what get() gives then. A change of key
// leaves URL and orders as they are: an order goes on under the new key, but a challenge that was
// answered must be answered again, as the answer holds the key's thumbprint. An account with
// another URL knows nothing of the order: it is given up, and ordered anew.
class AccountKeeper {
 public:
  struct Options {
    std::string email;  // "" for none
    bool accept_terms = false;
    std::string issuer{};  // its name in the configuration, for messages
    std::optional<ExternalAccount> eab{};
    // The CA has lost the account of that URL; the same key is being registered anew. Once an
    // account.
    std::function<void(const std::string& old_url)> account_lost{};
  };

  // All outlive us.
  AccountKeeper(Options options, AcmeClient& client, Store& store, Log& log);

  // Callers at the same time share one registration. Fails with kInvalid where a person must act:
  // terms that are not accepted, an external account that is missing or refused, an account that
  // was deactivated.
  Task<AccountOutcome> get();

  // The CA says that it does not know `account`: the next get() asks it once more, and registers
  // the same key anew.
  void forget(const AccountPtr& account);

  // Is another account, or another key, in use by now (or being looked for)?
  bool superseded(const AccountPtr& account) const { return account != account_; }

  // The account's URL, once it is known; "" before.
  std::string url() const { return account_ == nullptr ? "" : account_->url; }

  // What the operator may do. One at a time, and it ends also when its task is dropped: only the
  // keeper's end leaves it where it is. RFC 8555, 7.3.5.
  Task<> roll_key();
  // RFC 8555, 7.3.6. From the beginning on nothing is ordered any more, also when the CA could not
  // be told (which is an error; calling again tells it). Until reactivate().
  Task<> deactivate();
  // Registers a new account with a new key. kInvalid where the account works.
  Task<> reactivate();
  // Does not register one.
  Task<AccountStatus> status();

 private:
  using Act = Task<> (AccountKeeper::*)();

  Task<AccountOutcome> find();  // get(), also for who makes a change
  Task<AccountOutcome> make();
  Task<AccountPtr> find_or_register(AccountOutcome& outcome);
  Task<AccountPtr> recover(AccountRecord record, AccountKey key, AccountOutcome& outcome);
  Task<AccountPtr> bind_anew(AccountRecord record, AccountOutcome& outcome);
  Task<AccountPtr> register_key(AccountRecord record, AccountKey key, AccountOutcome& outcome);
  Task<AccountPtr> keep(AccountRecord record, AccountKey key, AccountOutcome& outcome);
  Task<AccountRecord> settle(AccountRecord record, AccountOutcome& outcome);
  Task<std::string> look_up(AccountKey key, AccountOutcome& outcome);
  Task<AcmeReply> ask(AcmeRequest request, AccountOutcome& outcome);
  Task<std::optional<AccountRecord>> load(AccountOutcome& outcome);
  Task<> put(AccountRecord record, AccountOutcome& outcome);

  AccountRecord blank() const;
  bool is_bound_elsewhere(const AccountRecord& record) const;
  Result<AccountKey> key_of(const AccountRecord& record) const;
  Result<std::string> registration(const Directory& directory, const AccountKey& key) const;
  bool is_refused(const Problem& problem) const;
  Error refused(const AcmeReply& reply, std::string_view doing) const;
  Error deactivated() const;

  // account_change.cc
  Task<> change(std::string_view kind, Act act);
  Task<> quiet();
  Task<> do_roll_key();
  Task<> do_deactivate();
  Task<> tell_deactivation(AccountRecord record);
  Task<> do_reactivate();
  Task<bool> works(AccountRecord record);

  const Options options_;
  AcmeClient& client_;
  Store& store_;
  Log& log_;
  AccountPtr account_;         // null until it is asked for
  std::string unknown_url_;    // an account URL that the CA disowned
  std::string lost_url_;       // ... and that account_lost was told
  std::string_view changing_;  // what changes_ has under way, or had last; a literal
  SingleFlight<AccountOutcome> flight_;
  SingleFlight<Unit> changes_;
};

}  // namespace latchkey::acme
