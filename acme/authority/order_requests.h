#pragma once
#include "acme/authority/authorization_requests.h"
#include "acme/authority/replacements.h"
#include "acme/authority/server_context.h"
#include "acme/authority/server_payload.h"
#include "base/task_set.h"

namespace latchkey::acme {

// newOrder, the order's URL, its finalization, an account's list (RFC 8555, 7.4 and 7.1.2.1).
// Control thread.
class OrderRequests {
 public:
  OrderRequests(ServerContext& context, Replacements& replacements,
                AuthorizationRequests& authorizations)
      : context_(context), replacements_(replacements), authorizations_(authorizations) {}

  Task<ServerAnswer> new_order(ServerCall call);
  Task<ServerAnswer> order(ServerCall call);
  Task<ServerAnswer> finalize(ServerCall call);
  Task<ServerAnswer> list(ServerCall call);

 private:
  Judged<> are_allowed(const std::vector<ServerName>& names) const;
  Judged<> may_order(const ServerCall& call, const NewOrderPayload& payload);
  Task<> issue(LiveOrderPtr order, LeafRequest request);
  ServerAnswer answer(const ServerCall& call, LiveOrder& live, int status);

  ServerContext& context_;
  Replacements& replacements_;
  AuthorizationRequests& authorizations_;
  TaskSet issuing_;  // each ends with its order; <= the orders that are ready
};

// The order of that id if it is the account's; what its URL says otherwise.
Task<Judged<LiveOrderPtr>> own_order(ServerContext& context, std::string id,
                                     ServerAccountPtr account);

}  // namespace latchkey::acme
