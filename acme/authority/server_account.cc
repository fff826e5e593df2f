#include "acme/authority/server_account.h"

#include "acme/authority/server_routes.h"
#include "acme/authority/server_time.h"
#include "base/json.h"

namespace latchkey::acme {
namespace {

std::string list_of(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& one : texts) {
    if (list.size() > 1) list += ',';
    list += json_quote(one);
  }
  return list + "]";
}

Error damaged(const AcmeAccountRow& row) {
  return {ErrorCode::kIo, "the ACME account " + row.id + " of the authority " + row.authority +
                              " cannot be read from the store"};
}

}  // namespace

AcmeAccountRow ServerAccount::row(const std::string& authority) const {
  JsonObject document;
  document.raw("jwk", key.jwk()).raw("contact", list_of(contacts));
  document.boolean("deactivated", deactivated).number("created", seconds_of(created));
  if (!external_kid.empty()) document.text("externalKid", external_kid);
  return {authority, id, key.thumbprint(), document.str()};
}

Result<ServerAccount> ServerAccount::from_row(const AcmeAccountRow& row) {
  const Result<JsonValue> document = parse_json(row.document);
  if (!document) return damaged(row);
  const JsonValue* const jwk = document->find("jwk");
  const std::optional<WallTime> created = time_in(*document, "created");
  if (jwk == nullptr || !created) return damaged(row);
  Result<JwsKey> key = JwsKey::from_jwk(*jwk);
  if (!key) return damaged(row);
  ServerAccount account{row.id, *std::move(key)};
  if (const JsonValue* const list = document->find("contact"); list != nullptr) {
    account.contacts.reserve(list->items.size());
    for (const JsonValue& one : list->items) account.contacts.push_back(one.text);
  }
  const JsonValue* const deactivated = document->find("deactivated");
  account.deactivated = deactivated != nullptr && deactivated->boolean;
  account.external_kid = document->text_of("externalKid");
  account.created = *created;
  return account;
}

std::string ServerAccount::object(std::string_view base) const {
  return JsonObject()
      .text("status", deactivated ? "deactivated" : "valid")
      .raw("contact", list_of(contacts))
      .text("orders", orders_url(base, id, ""))
      .text("createdAt", rfc3339(created))
      .str();
}

Result<ServerAccountPtr> ServerAccounts::keep(const std::optional<AcmeAccountRow>& row) {
  if (!row) return ServerAccountPtr();
  // A request that was faster has kept it, perhaps with a later change.
  if (ServerAccountPtr known = cache_.get(row->id)) return known;
  Result<ServerAccount> account = ServerAccount::from_row(*row);
  if (!account) return std::move(account).error();
  auto made = std::make_shared<const ServerAccount>(*std::move(account));
  static_cast<void>(cache_.put(made->id, made, 1));
  return ServerAccountPtr(made);
}

Task<ServerAccountPtr> ServerAccounts::find(std::string id) {
  if (ServerAccountPtr known = cache_.get(id)) co_return known;
  const std::optional<AcmeAccountRow> row = co_await store_.find_acme_account(authority_, id);
  co_return keep(row);
}

Task<ServerAccountPtr> ServerAccounts::find_by_key(std::string thumbprint) {
  const std::optional<AcmeAccountRow> row =
      co_await store_.find_acme_account_by_key(authority_, thumbprint);
  Result<ServerAccountPtr> found = keep(row);
  // Its key has been changed since.
  if (found && *found != nullptr && (*found)->key.thumbprint() != thumbprint) {
    co_return ServerAccountPtr();
  }
  co_return found;
}

Task<> ServerAccounts::put(ServerAccountPtr account, Change change) {
  const auto stored = std::make_shared<Pending<>>();
  puts_.spawn(write(std::move(account), std::move(change), stored));
  Pending<>& waiter = *stored;  // named: g++ 12 would copy `*stored`
  Result<> result = co_await waiter;
  co_return result;
}

// A task of our own: the store writes what it was given also when the request goes away, so the
// cache must follow, and the next change must not begin before.
Task<> ServerAccounts::write(ServerAccountPtr account, Change change,
                             std::weak_ptr<Pending<>> waiting) {
  AcmeAccountRow row = account->row(authority_);
  Result<> stored = co_await store_.put_acme_account(std::move(row)).result();
  if (stored) {
    static_cast<void>(cache_.put(account->id, account, 1));
  } else {
    static_cast<void>(cache_.erase(account->id));  // whether it is on disk is not known
  }
  { const Change ended = std::move(change); }
  if (const std::shared_ptr<Pending<>> to = waiting.lock()) to->resolve(std::move(stored));
  co_return Unit{};
}

}  // namespace latchkey::acme
