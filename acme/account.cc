#include "acme/account.h"

#include <utility>

#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {

AccountKeeper::AccountKeeper(Options options, AcmeClient& client, Store& store, Log& log)
    : options_(std::move(options)), client_(client), store_(store), log_(log) {}

Task<AccountOutcome> AccountKeeper::get() {
  if (account_ != nullptr) {
    AccountOutcome known;
    known.account = account_;
    co_return known;
  }
  Task<AccountOutcome> flight = flight_.join([this] { return make(); });
  co_return co_await std::move(flight);
}

void AccountKeeper::forget(const AccountPtr& account) {
  if (account_ != account) return;  // somebody was faster; a new one is there or under way
  unknown_url_ = account->url;
  account_ = nullptr;
  log_.warning("account_unknown", "the CA does not know our account any more; registering anew",
               {{"directory", client_.directory_url()}, {"account", account->url}});
}

Task<AccountOutcome> AccountKeeper::make() {
  AccountOutcome outcome;
  Task<AccountPtr> search = find_or_register(outcome);
  outcome.account = co_await std::move(search).result();
  co_return outcome;
}

Task<AccountPtr> AccountKeeper::find_or_register(AccountOutcome& outcome) {
  const std::string directory = client_.directory_url();
  outcome.storage_failed = true;  // until it is done
  std::optional<AccountRecord> record = co_await store_.find_account(directory);
  outcome.storage_failed = false;
  if (!record) {
    const AccountKey key = AccountKey::generate();
    AccountRecord fresh{directory, "", key.to_der()};
    co_await store(std::move(fresh), outcome);
    co_return co_await register_key(key, outcome);
  }
  const std::string url = record->url;
  const AccountKey key = co_await stored_key(*std::move(record));
  if (url.empty() || url == unknown_url_) co_return co_await register_key(key, outcome);
  account_ = std::make_shared<const Account>(Account{key, url});
  co_return account_;
}

Task<> AccountKeeper::store(AccountRecord record, AccountOutcome& outcome) {
  outcome.storage_failed = true;  // until it is done
  co_await store_.put_account(std::move(record));
  outcome.storage_failed = false;
  co_return Unit{};
}

Task<AccountKey> AccountKeeper::stored_key(AccountRecord record) {
  Result<AccountKey> key = AccountKey::from_der(record.key_der);
  if (!key) {
    co_return std::move(key).error().in(
        "the stored account key for " + record.directory +
        " cannot be used; restore the state folder from a backup, or delete the account to "
        "register a new one");
  }
  co_return key;
}

Result<std::string> AccountKeeper::registration(const Directory& directory) const {
  if (directory.external_account_required) {
    return Error{ErrorCode::kInvalid,
                 client_.directory_url() +
                     ": this CA registers accounts only with an external account binding, which "
                     "is not supported; use another issuer"};
  }
  JsonObject payload;
  if (!directory.terms_of_service.empty()) {
    if (!options_.accept_terms) {
      return Error{ErrorCode::kInvalid, client_.directory_url() +
                                            ": the CA wants its terms of service accepted: read " +
                                            printable(directory.terms_of_service) +
                                            " and set accept_terms for this issuer"};
    }
  }
  if (options_.accept_terms) payload.boolean("termsOfServiceAgreed", true);
  if (!options_.email.empty()) {
    payload.raw("contact", "[" + json_quote("mailto:" + options_.email) + "]");
  }
  return payload.str();
}

Task<AccountPtr> AccountKeeper::register_key(AccountKey key, AccountOutcome& outcome) {
  const DirectoryPtr directory = co_await client_.directory();
  const std::string payload = co_await or_fail(registration(*directory));
  AcmeRequest request{Resource::kNewAccount, key, "", directory->new_account, payload};
  const AcmeReply reply = co_await client_.post(std::move(request));
  outcome.problem = reply.problem;
  outcome.throttle = reply.throttle;
  if (reply.problem) co_return reply.error().in("registering an ACME account");
  const std::string url =
      co_await or_fail(check_ca_url(reply.request + ": Location", reply.location));
  AccountRecord record{client_.directory_url(), url, key.to_der()};
  co_await store(std::move(record), outcome);
  account_ = std::make_shared<const Account>(Account{key, url});
  unknown_url_.clear();
  log_.info("account_registered",
            reply.status == 201 ? "registered an ACME account; back up the state folder, its key "
                                  "cannot be replaced"
                                : "found our ACME account at the CA",
            {{"directory", client_.directory_url()}, {"account", url}});
  co_return account_;
}

}  // namespace latchkey::acme
