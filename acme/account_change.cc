// What the operator does with an account: AccountKeeper's changes.

#include <utility>

#include "acme/account.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

// There is no account that could be used, says the CA.
bool is_gone(const AcmeReply& reply) {
  return reply.problem->is(problem_type::kUnauthorized) ||
         reply.problem->is(problem_type::kAccountDoesNotExist) || reply.status == 401 ||
         reply.status == 403;
}

}  // namespace

Task<> AccountKeeper::roll_key() {
  return change("a change of its key", &AccountKeeper::do_roll_key);
}
Task<> AccountKeeper::deactivate() {
  return change("its deactivation", &AccountKeeper::do_deactivate);
}
Task<> AccountKeeper::reactivate() {
  return change("its reactivation", &AccountKeeper::do_reactivate);
}

Task<> AccountKeeper::change(std::string_view kind, Act act) {
  if (changes_.flying() && changing_ != kind) {
    co_return Error{ErrorCode::kThrottled, "the account at " + client_.directory_url() + ": " +
                                               std::string(changing_) +
                                               " is under way; try again in a moment"};
  }
  changing_ = kind;
  Task<> flight = changes_.join([this, act] { return (this->*act)(); });
  co_return co_await std::move(flight);
}

// Before an act touches the record: nobody else is about to.
Task<> AccountKeeper::quiet() {
  if (!flight_.flying()) co_return Unit{};
  Task<AccountOutcome> found = find();
  [[maybe_unused]] const Result<AccountOutcome> outcome = co_await std::move(found).result();
  co_return Unit{};
}

Task<> AccountKeeper::do_roll_key() {
  AccountOutcome outcome = co_await find();
  const AccountPtr old = co_await or_fail(outcome.account);
  const DirectoryPtr directory = co_await client_.directory();
  if (directory->key_change.empty()) {
    co_return Error{ErrorCode::kNotFound,
                    client_.directory_url() +
                        ": this CA has no keyChange in its directory, so an account keeps its key; "
                        "deactivate the account and register a new one"};
  }
  std::optional<AccountRecord> found = co_await load(outcome);
  if (!found || found->url != old->url || found->deactivated) {
    co_return Error{ErrorCode::kInvalid, "the stored account for " + client_.directory_url() +
                                             " is not the one in use; restart, and try again"};
  }
  AccountRecord record = *std::move(found);
  const AccountKey key = AccountKey::generate();
  // The one in use may be the one to come of an earlier change, which could not be stored.
  record.key_der = old->key.to_der();
  record.next_key_der = key.to_der();
  co_await put(record, outcome);

  const std::string payload =
      JsonObject().text("account", old->url).raw("oldKey", old->key.jwk()).str();
  const std::string inner = key.sign_inner(directory->key_change, payload);
  AcmeRequest request{Resource::kAccount, old->key, old->url, directory->key_change, inner};
  Task<AcmeReply> asking = ask(std::move(request), outcome);
  const Result<AcmeReply> reply = co_await std::move(asking).result();
  if (reply && !reply->problem) {
    // In use even where it cannot be stored: the CA takes no other, and the record has both.
    account_ = std::make_shared<const Account>(Account{key, old->url});
    Task<AccountPtr> keeping = keep(std::move(record), key, outcome);
    const Result<AccountPtr> kept = co_await std::move(keeping).result();
    if (!kept) {
      co_return Error(kept.error())
          .in("the CA has the new account key, which is in the store as the one to come; the next "
              "start makes it the account's");
    }
    log_.info("account_key_changed", "the ACME account has a new key; back up the state folder",
              {{"directory", client_.directory_url()}, {"account", old->url}});
    co_return Unit{};
  }
  // Whether the CA has taken it all the same is for it to say.
  Error why = reply ? reply->error() : Error(reply.error());
  account_ = nullptr;
  AccountOutcome settled = co_await find();
  if (!settled.account) {
    co_return std::move(why).in(
        "it is not known whether the CA has taken the new account key; both are stored, and the "
        "next order finds out");
  }
  if ((*settled.account)->key.thumbprint() == key.thumbprint()) co_return Unit{};
  co_return std::move(why).in("the CA has not taken the new account key; the one before stays");
}

Task<> AccountKeeper::do_deactivate() {
  co_await quiet();
  AccountOutcome outcome;
  std::optional<AccountRecord> record = co_await load(outcome);
  if (!record) {
    co_return Error{ErrorCode::kNotFound,
                    "there is no account at " + client_.directory_url() + " to deactivate"};
  }
  record->deactivated = true;
  co_await put(*record, outcome);
  account_ = nullptr;
  log_.warning("account_deactivated", "nothing is ordered with this ACME account any more",
               {{"directory", record->directory}, {"account", record->url}});
  Task<> telling = tell_deactivation(*std::move(record));
  Result<> told = co_await std::move(telling).result();
  if (told) co_return Unit{};
  co_return std::move(told).error().in(
      "nothing is ordered with the account any more, but the CA could not be told (try again)");
}

Task<> AccountKeeper::tell_deactivation(AccountRecord record) {
  AccountOutcome outcome;
  record = co_await settle(std::move(record), outcome);
  const AccountKey key = co_await or_fail(key_of(record));
  if (record.url.empty()) record.url = co_await look_up(key, outcome);
  if (record.url.empty()) co_return Unit{};  // it was never registered
  const std::string payload = R"({"status":"deactivated"})";
  AcmeRequest request{Resource::kAccount, key, record.url, record.url, payload};
  const AcmeReply reply = co_await ask(std::move(request), outcome);
  if (reply.problem && !is_gone(reply)) co_return reply.error();
  co_return Unit{};
}

Task<> AccountKeeper::do_reactivate() {
  co_await quiet();
  AccountOutcome outcome;
  Task<std::optional<AccountRecord>> loading = load(outcome);
  Result<std::optional<AccountRecord>> loaded = co_await std::move(loading).result();
  const bool damaged = !loaded && loaded.error().code == ErrorCode::kInvalid;
  if (!loaded && !damaged) co_return std::move(loaded).error();
  const std::optional<AccountRecord> record = damaged ? std::nullopt : *std::move(loaded);
  if (record && !record->deactivated && !record->url.empty()) {
    Task<bool> asking = works(*record);
    if (co_await std::move(asking)) {
      co_return Error{ErrorCode::kInvalid,
                      "the account " + record->url + " is not deactivated; there is nothing to do"};
    }
  }
  const AccountKey key = AccountKey::generate();
  AccountRecord fresh = blank();
  fresh.key_der = key.to_der();
  account_ = nullptr;
  co_await put(std::move(fresh), outcome);
  const AccountOutcome made = co_await find();
  co_await or_fail(made.account);
  co_return Unit{};
}

// Does the CA accept requests of this account? Not where its key is damaged, either.
Task<bool> AccountKeeper::works(AccountRecord record) {
  AccountOutcome outcome;
  record = co_await settle(std::move(record), outcome);
  const Result<AccountKey> key = key_of(record);
  if (!key) co_return false;
  AcmeRequest request{Resource::kAccount, *key, record.url, record.url};
  const AcmeReply reply = co_await client_.fetch(std::move(request));
  if (reply.problem && is_gone(reply)) co_return false;
  if (reply.problem) co_return reply.error();
  const AccountStatus status = co_await or_fail(parse_account(record.url, reply.body));
  co_return status.status == "valid";
}

Task<AccountStatus> AccountKeeper::status() {
  AccountOutcome outcome;
  std::optional<AccountRecord> record = co_await load(outcome);
  AccountStatus status;
  status.directory = client_.directory_url();
  if (!record) co_return status;
  const bool ask_ca = !record->deactivated && !record->url.empty() && !changes_.flying();
  if (ask_ca) {
    record = co_await settle(*std::move(record), outcome);
    const AccountKey key = co_await or_fail(key_of(*record));
    AcmeRequest request{Resource::kAccount, key, record->url, record->url};
    const AcmeReply reply = co_await client_.fetch(std::move(request));
    if (reply.problem) co_return refused(reply, "asking for our ACME account");
    status = co_await or_fail(parse_account(record->url, reply.body));
    status.directory = client_.directory_url();
  }
  status.url = record->url;
  status.eab_kid = record->eab_kid;
  status.deactivated = record->deactivated;
  if (record->deactivated) status.status = "deactivated";
  co_return status;
}

}  // namespace latchkey::acme
