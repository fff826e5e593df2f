#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "policy/allowlist.h"
#include "policy/ask_endpoint.h"
#include "policy/verdict.h"

namespace latchkey {

// Is a name wanted? The allowlist first, then the ask endpoint. Control thread.
class Policy {
 public:
  // `allowlist` may be replaced at a reload; `ask` is null where no endpoint is configured.
  Policy(std::shared_ptr<const Allowlist> allowlist, std::unique_ptr<AskEndpoint> ask);

  // Never fails: what could not be found out is kUnknown. Applies the guards for names that are
  // not listed exactly (policy/name_guard.h) before the ask is bothered.
  Task<Decision> decide(ServerName name);

  // What can be said at once and without I/O: listed (kAllow), refused by a guard, or denied for
  // lack of an ask endpoint (kDeny); kUnknown when the endpoint would have to be asked.
  Decision decide_without_asking(const ServerName& name) const;

  void replace_allowlist(std::shared_ptr<const Allowlist> allowlist);

 private:
  std::shared_ptr<const Allowlist> allowlist_;
  std::unique_ptr<AskEndpoint> ask_;
};

}  // namespace latchkey
