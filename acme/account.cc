#include "acme/account.h"

#include <utility>

#include "acme/ca_url.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kOnlyReturnExisting = R"({"onlyReturnExisting":true})";

}  // namespace

AccountKeeper::AccountKeeper(Options options, AcmeClient& client, Store& store, Log& log)
    : options_(std::move(options)), client_(client), store_(store), log_(log) {}

Task<AccountOutcome> AccountKeeper::get() {
  if (account_ == nullptr && changes_.flying()) {
    Task<> change = changes_.join({});  // waits for the one under way
    [[maybe_unused]] const Result<> done = co_await std::move(change).result();
  }
  Task<AccountOutcome> found = find();
  co_return co_await std::move(found);
}

Task<AccountOutcome> AccountKeeper::find() {
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
  if (changes_.flying()) return;    // the change itself finds out what the CA has
  unknown_url_ = account->url;
  account_ = nullptr;
  log_.warning("account_unknown", "the CA does not know our account any more; asking it once more",
               {{"directory", client_.directory_url()}, {"account", account->url}});
}

Task<AccountOutcome> AccountKeeper::make() {
  AccountOutcome outcome;
  Task<AccountPtr> search = find_or_register(outcome);
  outcome.account = co_await std::move(search).result();
  co_return outcome;
}

Task<AccountPtr> AccountKeeper::find_or_register(AccountOutcome& outcome) {
  std::optional<AccountRecord> found = co_await load(outcome);
  if (!found) {
    AccountRecord fresh = blank();
    const AccountKey key = AccountKey::generate();
    fresh.key_der = key.to_der();
    co_await put(fresh, outcome);
    co_return co_await register_key(std::move(fresh), key, outcome);
  }
  if (found->deactivated) co_return deactivated();
  AccountRecord record = co_await settle(*std::move(found), outcome);
  if (is_bound_elsewhere(record)) co_return co_await bind_anew(std::move(record), outcome);
  const AccountKey key = co_await or_fail(key_of(record));
  if (record.url.empty() || record.url == unknown_url_) {
    co_return co_await recover(std::move(record), key, outcome);
  }
  account_ = std::make_shared<const Account>(Account{key, record.url});
  co_return account_;
}

AccountRecord AccountKeeper::blank() const {
  AccountRecord record;
  record.directory = client_.directory_url();
  if (options_.eab) record.eab_kid = options_.eab->kid;
  return record;
}

// One of which we do not know whether and how it is bound (it was brought along, or is older than
// the binding in the configuration) is used as it is while the CA knows it.
bool AccountKeeper::is_bound_elsewhere(const AccountRecord& record) const {
  return options_.eab && !record.eab_kid.empty() && record.eab_kid != options_.eab->kid;
}

Task<std::optional<AccountRecord>> AccountKeeper::load(AccountOutcome& outcome) {
  outcome.storage_failed = true;  // until it is done
  Task<std::optional<AccountRecord>> finding = store_.find_account(client_.directory_url());
  Result<std::optional<AccountRecord>> record = co_await std::move(finding).result();
  // A damaged row is not the store's trouble, but this account's.
  outcome.storage_failed = !record && record.error().code != ErrorCode::kInvalid;
  co_return record;
}

Task<> AccountKeeper::put(AccountRecord record, AccountOutcome& outcome) {
  outcome.storage_failed = true;  // until it is done
  co_await store_.put_account(std::move(record));
  outcome.storage_failed = false;
  co_return Unit{};
}

Result<AccountKey> AccountKeeper::key_of(const AccountRecord& record) const {
  Result<AccountKey> key = AccountKey::from_der(record.key_der);
  if (key) return key;
  return std::move(key).error().in(
      "the stored account key for " + record.directory +
      " cannot be used; restore the state folder from a backup, or register a new one by "
      "\"latchkey account reactivate " +
      options_.issuer + "\"");
}

Task<AcmeReply> AccountKeeper::ask(AcmeRequest request, AccountOutcome& outcome) {
  AcmeReply reply = co_await client_.post(std::move(request));
  outcome.problem = reply.problem;
  outcome.throttle = reply.throttle;
  co_return reply;
}

// The URL of the account that the CA has for a key; "" for none.
Task<std::string> AccountKeeper::look_up(AccountKey key, AccountOutcome& outcome) {
  const DirectoryPtr directory = co_await client_.directory();
  const std::string payload(kOnlyReturnExisting);
  AcmeRequest request{Resource::kNewAccount, key, "", directory->new_account, payload};
  AcmeReply reply = co_await ask(std::move(request), outcome);
  if (reply.problem && reply.problem->is(problem_type::kExternalAccountRequired) && options_.eab) {
    // It wants to see the binding before it looks for the key.
    const std::string binding =
        external_account_binding(*options_.eab, key, directory->new_account);
    const std::string bound = JsonObject()
                                  .boolean("onlyReturnExisting", true)
                                  .raw("externalAccountBinding", binding)
                                  .str();
    AcmeRequest again{Resource::kNewAccount, key, "", directory->new_account, bound};
    reply = co_await ask(std::move(again), outcome);
  }
  if (reply.problem && reply.problem->is(problem_type::kAccountDoesNotExist)) {
    outcome.problem.reset();
    co_return std::string();
  }
  if (reply.problem) {
    if (is_refused(*reply.problem)) outcome.problem.reset();
    co_return refused(reply, "looking for our ACME account");
  }
  co_return check_ca_url(reply.request + ": Location", reply.location);
}

// A new key was stored next to the one in use, and it is not known whether the CA came to have it.
Task<AccountRecord> AccountKeeper::settle(AccountRecord record, AccountOutcome& outcome) {
  if (record.next_key_der.empty()) co_return record;
  const Result<AccountKey> next = AccountKey::from_der(record.next_key_der);
  std::string url;
  if (next) url = co_await look_up(*next, outcome);
  if (!url.empty()) {
    if (url != record.url && options_.eab) record.eab_kid = options_.eab->kid;
    record.url = url;
    record.key_der = record.next_key_der;
  }
  record.next_key_der.clear();
  co_await put(record, outcome);
  log_.info("account_key_settled",
            url.empty() ? "the CA has not taken the new account key; keeping the one before"
                        : "the CA has taken the new account key",
            {{"directory", record.directory}, {"account", record.url}});
  co_return record;
}

// The CA may know the key by another URL, or not at all.
Task<AccountPtr> AccountKeeper::recover(AccountRecord record, AccountKey key,
                                        AccountOutcome& outcome) {
  const std::string url = co_await look_up(key, outcome);
  if (!url.empty()) {
    record.url = url;
    log_.info("account_found", "found our ACME account at the CA",
              {{"directory", record.directory}, {"account", url}});
    co_return co_await keep(std::move(record), key, outcome);
  }
  if (!record.url.empty() && lost_url_ != record.url) {
    lost_url_ = record.url;
    log_.warning("account_lost", "the CA has lost our ACME account; registering its key anew",
                 {{"directory", record.directory}, {"account", record.url}});
    if (options_.account_lost) options_.account_lost(record.url);
  }
  co_return co_await register_key(std::move(record), key, outcome);
}

// One key, one binding: the account for another kid is another account. The one before stays in the
// store until the CA has accepted the new one.
Task<AccountPtr> AccountKeeper::bind_anew(AccountRecord record, AccountOutcome& outcome) {
  log_.info("account_rebound", "eab.kid has changed: registering a new ACME account with a new key",
            {{"directory", record.directory},
             {"account", record.url},
             {"kid", options_.eab->kid},
             {"before", record.eab_kid}});
  const AccountKey key = AccountKey::generate();
  record.next_key_der = key.to_der();
  co_await put(record, outcome);
  co_return co_await register_key(std::move(record), key, outcome);
}

Result<std::string> AccountKeeper::registration(const Directory& directory,
                                                const AccountKey& key) const {
  if (directory.external_account_required && !options_.eab) {
    return Error{ErrorCode::kInvalid,
                 client_.directory_url() +
                     ": this CA registers accounts only with an external account binding: get a "
                     "key from it, and set issuers[].acme.eab with kid and hmac_key_file for the "
                     "issuer " +
                     options_.issuer};
  }
  JsonObject payload;
  if (!directory.terms_of_service.empty() && !options_.accept_terms) {
    return Error{ErrorCode::kInvalid, client_.directory_url() +
                                          ": the CA wants its terms of service accepted: read " +
                                          printable(directory.terms_of_service) +
                                          " and set accept_terms for this issuer"};
  }
  if (options_.accept_terms) payload.boolean("termsOfServiceAgreed", true);
  if (!options_.email.empty()) {
    payload.raw("contact", "[" + json_quote("mailto:" + options_.email) + "]");
  }
  if (options_.eab) {
    payload.raw("externalAccountBinding",
                external_account_binding(*options_.eab, key, directory.new_account));
  }
  return payload.str();
}

Task<AccountPtr> AccountKeeper::register_key(AccountRecord record, AccountKey key,
                                             AccountOutcome& outcome) {
  const DirectoryPtr directory = co_await client_.directory();
  const std::string payload = co_await or_fail(registration(*directory, key));
  AcmeRequest request{Resource::kNewAccount, key, "", directory->new_account, payload};
  const AcmeReply reply = co_await ask(std::move(request), outcome);
  if (reply.problem) {
    if (is_refused(*reply.problem)) outcome.problem.reset();
    co_return refused(reply, "registering an ACME account");
  }
  record.url = co_await or_fail(check_ca_url(reply.request + ": Location", reply.location));
  record.eab_kid = options_.eab ? options_.eab->kid : "";
  log_.info("account_registered",
            reply.status == 201 ? "registered an ACME account; back up the state folder, its key "
                                  "cannot be replaced"
                                : "found our ACME account at the CA",
            {{"directory", record.directory}, {"account", record.url}});
  co_return co_await keep(std::move(record), key, outcome);
}

// `key` is the account's from now on.
Task<AccountPtr> AccountKeeper::keep(AccountRecord record, AccountKey key,
                                     AccountOutcome& outcome) {
  record.key_der = key.to_der();
  record.next_key_der.clear();
  const std::string url = record.url;
  co_await put(std::move(record), outcome);
  account_ = std::make_shared<const Account>(Account{key, url});
  unknown_url_.clear();
  co_return account_;
}

// The CA's no to account or binding, rather than its trouble: for a person to look at.
bool AccountKeeper::is_refused(const Problem& problem) const {
  using namespace problem_type;
  return problem.is(kUnauthorized) || problem.is(kExternalAccountRequired) ||
         problem.is(kInvalidContact) || problem.is(kUnsupportedContact) ||
         problem.is(kBadPublicKey) || (problem.is(kMalformed) && options_.eab);
}

Error AccountKeeper::refused(const AcmeReply& reply, std::string_view doing) const {
  Error error = reply.error().in(doing);
  if (!is_refused(*reply.problem)) return error;
  error.code = ErrorCode::kInvalid;
  const Problem& problem = *reply.problem;
  if (problem.is(problem_type::kInvalidContact) || problem.is(problem_type::kUnsupportedContact)) {
    error.message += "; the CA does not take issuers[].acme.email";
  } else if (options_.eab) {
    error.message +=
        "; if it is the external account that it refuses, check issuers[].acme.eab of " +
        options_.issuer + " (kid " + json_quote(printable(options_.eab->kid, 80)) +
        ", hmac_key_file): some CAs accept one only once, or for a few days";
  } else {
    error.message += "; if the account was deactivated, \"latchkey account reactivate " +
                     options_.issuer + "\" registers a new one";
  }
  return error;
}

Error AccountKeeper::deactivated() const {
  return Error{ErrorCode::kInvalid,
               client_.directory_url() +
                   ": our ACME account was deactivated by the operator, so nothing is ordered; "
                   "\"latchkey account reactivate " +
                   options_.issuer + "\" registers a new one"};
}

}  // namespace latchkey::acme
