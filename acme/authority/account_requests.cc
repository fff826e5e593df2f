#include "acme/authority/account_requests.h"

#include <arpa/inet.h>

#include "acme/authority/account_binding.h"
#include "acme/authority/jws_verify.h"
#include "acme/authority/server_payload.h"
#include "acme/authority/server_time.h"

namespace latchkey::acme {
namespace {

constexpr size_t kIdBytes = 10;

// Whose limit it is: an address, of IPv6 its /64.
std::string network_of(const std::string& client) {
  constexpr size_t kNetwork = 8;  // bytes
  in_addr four{};
  in6_addr six{};
  const auto* const octets = reinterpret_cast<const char*>(&six);
  if (::inet_pton(AF_INET, client.c_str(), &four) == 1) {
    return {reinterpret_cast<const char*>(&four), sizeof four};
  }
  if (::inet_pton(AF_INET6, client.c_str(), &six) != 1) return client;
  if (IN6_IS_ADDR_V4MAPPED(&six)) return {octets + sizeof six - sizeof four, sizeof four};
  return {octets, kNetwork};
}

ServerProblem busy() {
  ServerProblem problem =
      rate_limited("another change of this account is under way", std::chrono::seconds(1));
  problem.status = 503;
  return problem;
}

ServerProblem deactivated() {
  return unauthenticated("the account was deactivated; a new one needs a new key");
}

}  // namespace

ServerAnswer AccountRequests::existing(const ServerCall& call,
                                       const ServerAccountPtr& account) const {
  if (account->deactivated) return deactivated();
  HttpReply reply = json_reply(200, account->object(call.route.base));
  set_header(reply, "location", account_url(call.route.base, account->id));
  return reply;
}

Task<ServerAnswer> AccountRequests::new_account(ServerCall call) {
  Judged<NewAccountPayload> payload = read_new_account(call.payload);
  if (!payload) co_return std::move(payload).problem();
  // Judged before the first wait, so that a parsed document (60 times its text) is not kept over
  // it; its problem counts only where an account is to be made.
  const bool bound = payload->binding.has_value();
  Judged<std::string> external_kid = std::string();
  if (bound) {
    external_kid = check_binding(*payload->binding, *call.key, call.url, context_.options.eab_keys);
    payload->binding.reset();
  }
  const std::string thumbprint = call.key->thumbprint();
  const ServerAccountPtr known = co_await context_.accounts.find_by_key(thumbprint);
  if (known != nullptr) co_return existing(call, known);
  if (payload->only_return_existing) {
    co_return ServerProblem{400, std::string(problem_type::kAccountDoesNotExist),
                            "there is no account with that key"};
  }
  if (!bound && context_.options.eab_required) {
    co_return ServerProblem{403, std::string(problem_type::kExternalAccountRequired),
                            "accounts are made with an externalAccountBinding here; ask for a kid "
                            "and an HMAC key"};
  }
  if (!external_kid) co_return std::move(external_kid).problem();
  const std::string base = call.route.base;
  std::vector<std::string> contacts = std::move(payload->contacts);
  std::string kid = *std::move(external_kid);
  const ServerCall copy = call;
  Judged<ServerAccountPtr> made =
      co_await register_account(copy, std::move(contacts), std::move(kid));
  if (!made) co_return std::move(made).problem();
  if (*made == nullptr) {  // another request of the same key was faster
    const ServerAccountPtr other = co_await context_.accounts.find_by_key(thumbprint);
    if (other == nullptr) co_return server_internal("the account could not be made");
    co_return existing(call, other);
  }
  HttpReply reply = json_reply(201, (*made)->object(base));
  set_header(reply, "location", account_url(base, (*made)->id));
  co_return ServerAnswer(std::move(reply));
}

Task<Judged<>> AccountRequests::has_room(std::string client) {
  if (context_.options.trusting) co_return Judged<>(Unit{});
  const std::chrono::seconds wait =
      context_.limits.accounts.take(network_of(client), context_.clock.now());
  if (wait > std::chrono::seconds(0)) {
    co_return Judged<>(rate_limited("too many new accounts from " + client, wait));
  }
  if (!count_) {
    const size_t stored = co_await context_.accounts.count();
    if (!count_) count_ = stored;
  }
  if (*count_ >= ServerLimits::kMaxAccounts) {
    co_return Judged<>(
        rate_limited("there are as many accounts as this server will have", std::chrono::hours(1)));
  }
  co_return Judged<>(Unit{});
}

// Null: another account has got that key meanwhile.
Task<Judged<ServerAccountPtr>> AccountRequests::register_account(ServerCall call,
                                                                 std::vector<std::string> contacts,
                                                                 std::string external_kid) {
  Judged<> room = co_await has_room(call.client);
  if (!room) co_return std::move(room).problem();
  ServerAccount account{random_hex(kIdBytes), *call.key};
  account.contacts = std::move(contacts);
  account.external_kid = std::move(external_kid);
  account.created = context_.clock.wall_now();
  ServerAccountPtr made = std::make_shared<const ServerAccount>(std::move(account));
  ServerAccounts::Change none;
  if (count_) ++*count_;  // before: who goes away has made it all the same
  const Result<> stored = co_await context_.accounts.put(made, std::move(none)).result();
  if (!stored) {
    if (count_) --*count_;
    if (stored.error().code == ErrorCode::kInvalid) {
      co_return Judged<ServerAccountPtr>(ServerAccountPtr());
    }
    co_return stored.error();
  }
  context_.log.info("acme_account_made", "an account at the ACME server was made",
                    {{"authority", context_.name()},
                     {"account", made->id},
                     {"client", call.client},
                     {"external_kid", made->external_kid}});
  co_return Judged<ServerAccountPtr>(std::move(made));
}

Task<ServerAnswer> AccountRequests::account(ServerCall call) {
  const std::string base = call.route.base;
  if (call.route.id != call.account->id) {
    co_return unauthorized("that is another account's URL");
  }
  if (call.is_read()) co_return json_reply(200, call.account->object(base));
  Judged<AccountUpdatePayload> payload = read_account_update(call.payload);
  if (!payload) co_return std::move(payload).problem();
  ServerAccounts::Change mine(context_.accounts, call.account->id);
  if (!mine) co_return busy();
  ServerAccount changed = *call.account;
  if (payload->contacts) changed.contacts = *std::move(payload->contacts);
  changed.deactivated = payload->deactivate;
  ServerAccountPtr stored = std::make_shared<const ServerAccount>(std::move(changed));
  co_await context_.accounts.put(stored, std::move(mine));
  if (stored->deactivated) {
    context_.log.info("acme_account_deactivated", "its owner has deactivated an account",
                      {{"authority", context_.name()}, {"account", stored->id}});
  }
  co_return json_reply(200, stored->object(base));
}

Task<ServerAnswer> AccountRequests::change_key(ServerCall call) {
  Judged<Jws> inner = parse_jws(call.payload, JwsUse::kKeyChange);
  if (!inner) co_return std::move(inner).problem();
  const JwsKey new_key = *inner->jwk;
  if (Judged<> right = verify_jws(*inner, new_key); !right) {
    co_return malformed("the inner JWS is not signed by the new key");
  }
  if (inner->url != call.url) {
    co_return malformed("the inner JWS is for another URL than the outer one");
  }
  Judged<KeyChangePayload> payload = read_key_change(inner->payload);
  if (!payload) co_return std::move(payload).problem();
  if (payload->account != account_url(call.route.base, call.account->id)) {
    co_return malformed("\"account\" is not the account that signs the request");
  }
  if (payload->old_key.jwk() != call.account->key.jwk()) {
    co_return malformed("\"oldKey\" is not the account's key");
  }
  ServerAccounts::Change mine(context_.accounts, call.account->id);
  if (!mine) co_return busy();
  const ServerAccountPtr other = co_await context_.accounts.find_by_key(new_key.thumbprint());
  std::string holder = other == nullptr ? "" : other->id;
  if (holder.empty()) {
    ServerAccount changed = *call.account;
    changed.key = new_key;
    ServerAccountPtr made = std::make_shared<const ServerAccount>(std::move(changed));
    const Result<> stored = co_await context_.accounts.put(made, std::move(mine)).result();
    if (stored) {
      context_.log.info("acme_account_key_changed", "an account has a new key",
                        {{"authority", context_.name()}, {"account", made->id}});
      co_return json_reply(200, made->object(call.route.base));
    }
    if (stored.error().code != ErrorCode::kInvalid) co_return stored.error();
    const ServerAccountPtr faster = co_await context_.accounts.find_by_key(new_key.thumbprint());
    holder = faster == nullptr ? "" : faster->id;
  }
  ServerProblem conflict{409, std::string(problem_type::kMalformed),
                         "another account has the new key"};
  if (!holder.empty()) conflict.location = account_url(call.route.base, holder);
  co_return conflict;
}

}  // namespace latchkey::acme
