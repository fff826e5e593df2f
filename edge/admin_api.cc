#include "edge/admin_api.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "edge/admin_authorities.h"
#include "edge/admin_names.h"
#include "edge/admin_query.h"
#include "edge/admin_reply.h"

namespace latchkey::edge {
namespace {

using Act = Steering::AccountAct;

struct AccountVerb {
  std::string_view word;
  Act act;
};
constexpr AccountVerb kAccountVerbs[] = {{":roll-key", Act::kRollKey},
                                         {":deactivate", Act::kDeactivate},
                                         {":reactivate", Act::kReactivate}};

// /accounts/{issuer}:verb; an issuer's name is the configuration's.
Task<AdminReply> answer_account(Steering& steering, std::string method, std::string rest) {
  const size_t colon = std::min(rest.rfind(':'), rest.size());
  const std::string_view word = std::string_view(rest).substr(colon);
  const auto* const verb = std::find_if(std::begin(kAccountVerbs), std::end(kAccountVerbs),
                                        [&](const AccountVerb& v) { return v.word == word; });
  if (verb == std::end(kAccountVerbs)) {
    co_return refused(404,
                      "no such path: /accounts/{issuer} with :roll-key, :deactivate or "
                      ":reactivate");
  }
  if (method != "POST") co_return only("POST");
  std::optional<std::string> issuer = percent_decode(std::string_view(rest).substr(0, colon));
  if (!issuer) co_return refused(400, "the path has a % without two hexadecimal digits behind it");
  Task<std::string> work = steering.change_account(*std::move(issuer), verb->act);
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

Task<AdminReply> said(AdminReply reply) {
  co_return reply;
}

Task<AdminReply> reply_to(Task<std::string> work) {
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

// For load balancers and watchdogs: alive is 200; ready is 200 until a drain begins.
AdminReply health(bool draining) {
  AdminReply reply;
  reply.status = draining ? 503 : 200;
  reply.json = JsonObject().text("status", draining ? "draining" : "ok").str();
  return reply;
}

// What takes no more than a path.
struct Plain {
  std::string_view path, method;
  Task<std::string> (*begin)(Steering& steering);
};
constexpr Plain kPlain[] = {
    {"/status", "GET", [](Steering& steering) { return steering.status(); }},
    {"/accounts", "GET", [](Steering& steering) { return steering.accounts(); }},
    {"/config:reload", "POST", [](Steering& steering) { return steering.reload(); }},
};

}  // namespace

// Not a coroutine: the work is one.
Task<AdminReply> answer_admin(Steering& steering, AdminRequest request) {
  constexpr std::string_view kAccounts = "/accounts/", kNames = "/names/";
  const std::string& method = request.method;
  const std::string& path = request.path;
  for (const Plain& plain : kPlain) {
    if (plain.path != path) continue;
    if (plain.method != method) return said(only(std::string(plain.method)));
    return reply_to(plain.begin(steering));
  }
  if (path == "/healthz" || path == "/readyz") {
    if (method != "GET") return said(only("GET"));
    return said(health(path == "/readyz" && steering.draining()));
  }
  if (path == "/budget") return said(method == "GET" ? ok(steering.budget()) : only("GET"));
  if (path == "/names" && method == "POST") return said(answer_prefetch(steering, request.body));
  if (path == "/names" && method == "GET") return answer_list(steering, std::move(request));
  if (path == "/names") return said(only("GET, POST"));
  if (path == "/certificates:import") {
    if (method != "POST") return said(only("POST"));
    return reply_to(steering.import(std::move(request.body)));
  }
  if (path == "/events" && method == "GET") return answer_events(steering, std::move(request));
  if (path == "/events") return said(only("GET"));
  if (path.starts_with("/authorities")) return answer_authorities(steering, std::move(request));
  if (path.starts_with(kNames)) return answer_name(steering, std::move(request));
  if (path.starts_with(kAccounts)) {
    std::string rest = path.substr(kAccounts.size());
    return answer_account(steering, method, std::move(rest));
  }
  return said(
      refused(404,
              "no such path; /status, /healthz, /readyz, /budget, /names, /events, /accounts, "
              "/authorities, /certificates:import and /config:reload are there"));
}

}  // namespace latchkey::edge
