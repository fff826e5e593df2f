#include "acme/authority/order_requests.h"

#include <algorithm>

#include "acme/authority/csr_reader.h"
#include "acme/authority/server_time.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr size_t kPage = 500;    // orders of a list
constexpr Millis kWatch{2'000};  // how long a request waits for its order
constexpr std::chrono::seconds kPollAfter{1};

// In the order in which they were made, and not to be guessed.
std::string make_id(WallTime now) {
  constexpr size_t kRandom = 10;  // bytes
  std::string time(5, '\0');
  uint64_t seconds = static_cast<uint64_t>(now.time_since_epoch().count());
  for (auto byte = time.rbegin(); byte != time.rend(); ++byte, seconds >>= 8) {
    *byte = static_cast<char>(seconds & 255);
  }
  return to_hex(time) + random_hex(kRandom);
}

ServerProblem bad_csr(std::string detail) {
  return {400, std::string(problem_type::kBadCsr), std::move(detail)};
}

ServerProblem not_stored() {
  ServerProblem problem = server_internal("the order is not stored yet; try again");
  problem.status = 503;
  problem.retry_after = kPollAfter;
  return problem;
}

// Names in `more` that are not in `of`; both sorted.
std::string missing(const std::vector<ServerName>& of, const std::vector<ServerName>& more) {
  std::string list;
  for (const ServerName& name : more) {
    if (std::binary_search(of.begin(), of.end(), name)) continue;
    if (!list.empty()) list += ", ";
    if (list.size() > 300) return list + "...";
    list += name.text();
  }
  return list;
}

Judged<LeafRequest> leaf_request(const ServerOrder& order, const JwsKey& account_key,
                                 std::string_view der) {
  Judged<CsrFacts> facts = read_csr(der);
  if (!facts) return std::move(facts).problem();
  std::vector<ServerName> ordered;
  ordered.reserve(order.authorizations.size());
  for (const ServerAuthorization& one : order.authorizations) ordered.push_back(one.identifier());
  std::vector<ServerName> names = ordered;
  std::sort(names.begin(), names.end());
  if (names != facts->names) {
    const std::string extra = missing(names, facts->names);
    const std::string lacking = missing(facts->names, names);
    return bad_csr("the CSR's names are not the order's identifiers" +
                   (extra.empty() ? "" : "; not ordered: " + extra) +
                   (lacking.empty() ? "" : "; not in the CSR: " + lacking));
  }
  if (account_key.is_key_of(facts->public_key)) {
    return bad_csr("the CSR's key is the account's; a certificate has a key of its own");
  }
  LeafRequest request{std::move(ordered), std::move(facts->public_key)};
  request.holder = order.account;
  request.must_staple = facts->must_staple;
  return request;
}

}  // namespace

Task<Judged<LiveOrderPtr>> own_order(ServerContext& context, std::string id,
                                     ServerAccountPtr account) {
  LiveOrderPtr order = co_await context.orders.find(id);
  if (order == nullptr) co_return unknown("there is no such order, or not any more");
  if (order->order.account != account->id)
    co_return unauthorized("that is another account's order");
  co_return Judged<LiveOrderPtr>(std::move(order));
}

ServerAnswer OrderRequests::answer(const ServerCall& call, LiveOrder& live, int status) {
  const WallTime now = context_.clock.wall_now();
  const ServerOrder& order = live.order;
  HttpReply reply = json_reply(status, order.object(call.route.base, now));
  set_header(reply, "location", order_url(call.route.base, order.id));
  const bool looking = std::any_of(order.authorizations.begin(), order.authorizations.end(),
                                   [](const ServerAuthorization& one) { return one.looking; });
  const bool waits = order.status_at(now) == OrderStatus::kProcessing ||
                     (order.status_at(now) == OrderStatus::kPending && looking);
  if (waits) set_header(reply, "retry-after", std::to_string(kPollAfter.count()));
  return reply;
}

Judged<> OrderRequests::are_allowed(const std::vector<ServerName>& names) const {
  std::vector<ServerSubproblem> refused;
  for (const ServerName& name : names) {
    if (context_.options.allows(name)) continue;
    refused.push_back({std::string(problem_type::kRejectedIdentifier),
                       "this authority does not certify " + name.text(), identifier_of(name)});
  }
  if (refused.empty()) return Unit{};
  ServerProblem problem{403, std::string(problem_type::kRejectedIdentifier),
                        refused.size() == 1
                            ? refused.front().detail
                            : "this authority does not certify " + std::to_string(refused.size()) +
                                  " of the identifiers"};
  problem.subproblems = std::move(refused);
  return problem;
}

Judged<> OrderRequests::may_order(const ServerCall& call, const NewOrderPayload& payload) {
  if (Judged<> allowed = are_allowed(payload.names); !allowed) return allowed;
  if (context_.options.trusting) return Unit{};
  const TimePoint now = context_.clock.now();
  for (const ServerName& name : payload.names) {
    const auto wait = context_.limits.failures.wait(call.account->id + " " + name.text(), now);
    if (wait > std::chrono::seconds(0)) {
      return rate_limited("too many validations of " + name.text() + " have failed lately", wait);
    }
  }
  const auto wait = context_.limits.identifiers.take(call.account->id, now,
                                                     static_cast<int64_t>(payload.names.size()));
  if (wait > std::chrono::seconds(0)) {
    return rate_limited("too many identifiers in new orders of this account", wait);
  }
  return Unit{};
}

Task<ServerAnswer> OrderRequests::new_order(ServerCall call) {
  Judged<NewOrderPayload> payload = read_new_order(call.payload);
  if (!payload) co_return std::move(payload).problem();
  if (Judged<> may = may_order(call, *payload); !may) co_return std::move(may).problem();
  if (!payload->replaces.empty()) {
    const std::string id = payload->replaces;
    const std::string account = call.account->id;
    std::vector<ServerName> names = payload->names;
    Judged<bool> replaces = co_await replacements_.check(id, account, std::move(names));
    if (!replaces) co_return std::move(replaces).problem();
    if (!*replaces) payload->replaces.clear();
  }
  const WallTime now = context_.clock.wall_now();
  ServerOrder order;
  order.id = make_id(now);
  order.account = call.account->id;
  order.created = now;
  order.expires = now + kOrderLife;
  order.replaces = payload->replaces;
  order.authorizations.reserve(payload->names.size());
  for (const ServerName& name : payload->names) {
    order.authorizations.push_back(make_authorization(name));
  }
  if (!order.replaces.empty()) replacements_.note(order.replaces, order.id);
  const LiveOrderPtr live = co_await context_.orders.add(std::move(order));
  co_return answer(call, *live, 201);
}

Task<ServerAnswer> OrderRequests::order(ServerCall call) {
  if (!call.is_read()) co_return malformed("an order is read by POST-as-GET: an empty payload");
  const std::string id = call.route.id;
  Judged<LiveOrderPtr> order = co_await own_order(context_, id, call.account);
  if (!order) co_return std::move(order).problem();
  const LiveOrderPtr live = *order;
  authorizations_.resume(live, call.account);
  if (live->order.finalizing || live->unsaved > 0) co_await context_.orders.watch(live, kWatch);
  co_return answer(call, *live, 200);
}

Task<ServerAnswer> OrderRequests::finalize(ServerCall call) {
  Judged<std::string> csr = read_finalize(call.payload);
  if (!csr) co_return std::move(csr).problem();
  const std::string id = call.route.id;
  Judged<LiveOrderPtr> found = co_await own_order(context_, id, call.account);
  if (!found) co_return std::move(found).problem();
  const LiveOrderPtr live = *found;
  // What makes it ready must be on disk before the certificate is.
  if (live->unsaved > 0) co_await context_.orders.watch(live, kWatch);
  if (live->unsaved > 0 || live->forgotten) co_return not_stored();
  const OrderStatus is = live->order.status_at(context_.clock.wall_now());
  if (is != OrderStatus::kReady) {
    const bool open = is == OrderStatus::kPending;
    co_return ServerProblem{403, std::string(problem_type::kOrderNotReady),
                            open ? "the order is pending: not all of its authorizations are valid"
                                 : "the order is not ready: it is processing, valid or invalid"};
  }
  const std::string& account = call.account->id;
  const auto wait = context_.limits.bad_csrs.wait(account, context_.clock.now());
  if (wait > std::chrono::seconds(0) && !context_.options.trusting) {
    co_return rate_limited("too many CSRs of this account would not do", wait);
  }
  Judged<LeafRequest> request = leaf_request(live->order, call.account->key, *csr);
  if (!request) {
    static_cast<void>(context_.limits.bad_csrs.take(account, context_.clock.now()));
    co_return std::move(request).problem();
  }
  // The configuration may have changed since the order was made.
  if (Judged<> allowed = are_allowed(request->names); !allowed) {
    co_return std::move(allowed).problem();
  }
  live->order.finalizing = true;
  issuing_.spawn(issue(live, *std::move(request)));
  if (live->order.finalizing) co_await context_.orders.watch(live, kWatch);
  if (live->order.status == OrderStatus::kReady && !live->order.finalizing) {
    co_return server_internal("the certificate could not be made; try again later");
  }
  co_return answer(call, *live, 200);
}

// The order is valid, and said to be, once the certificate is stored with it. Where that fails it
// is ready again.
Task<> OrderRequests::issue(LiveOrderPtr order, LeafRequest request) {
  Result<IssuedCertificate> made = co_await context_.authority.sign(std::move(request)).result();
  Result<> stored = Unit{};
  if (made) {
    ServerOrder valid = order->order;
    valid.status = OrderStatus::kValid;
    valid.serial = made->serial;
    valid.expires = std::max(valid.expires, context_.clock.wall_now() + kValidOrderLife);
    IssuedCertificate certificate = *made;
    std::optional<AcmeOrderRow> row = context_.orders.row(valid);
    stored = co_await context_.store.put_issued(std::move(certificate), std::move(row)).result();
    if (stored) {  // nothing else has changed it: it was ready, and finalizing
      order->order.status = valid.status;
      order->order.serial = valid.serial;
      order->order.expires = valid.expires;
      const std::string serial = made->serial;
      static_cast<void>(
          context_.issued.put(serial, std::make_shared<const IssuedCertificate>(*made), 1));
      context_.log.debug("acme_certificate_issued", "a certificate was issued to an account",
                         {{"authority", context_.name()},
                          {"account", order->order.account},
                          {"serial", made->serial},
                          {"name", order->order.authorizations.front().identifier().text()}});
    }
  }
  const Result<> done = made ? stored : Result<>(made.error());
  if (!done) {
    context_.log.error("acme_certificate_failed", "a certificate could not be issued",
                       {{"authority", context_.name()},
                        {"order", order->order.id},
                        {"error", done.error().message}});
    if (made) context_.orders.forget(order);  // which of the two is on disk is not known
  }
  order->order.finalizing = false;
  context_.orders.tell(*order);
  co_return Unit{};
}

Task<ServerAnswer> OrderRequests::list(ServerCall call) {
  if (call.route.id != call.account->id) co_return unauthorized("that is another account's list");
  if (!call.is_read()) co_return malformed("a list is read by POST-as-GET: an empty payload");
  const std::string account = call.account->id;
  const std::string after = call.route.after;
  const std::vector<std::string> ids = co_await context_.orders.list(account, after, kPage);
  std::string urls = "[";
  for (const std::string& id : ids) {
    if (urls.size() > 1) urls += ',';
    urls += json_quote(order_url(call.route.base, id));
  }
  HttpReply reply = json_reply(200, JsonObject().raw("orders", urls + "]").str());
  if (ids.size() == kPage) {
    add_link(reply, orders_url(call.route.base, account, ids.back()), "next");
  }
  co_return ServerAnswer(std::move(reply));
}

}  // namespace latchkey::acme
