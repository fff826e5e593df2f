#include "policy/policy.h"

#include "policy/name_guard.h"

namespace latchkey {

Policy::Policy(std::shared_ptr<const Allowlist> allowlist, std::unique_ptr<AskEndpoint> ask)
    : allowlist_(std::move(allowlist)), ask_(std::move(ask)) {}

Decision Policy::decide_without_asking(const ServerName& name) const {
  const auto match = allowlist_ == nullptr ? Allowlist::Match::kNone : allowlist_->find(name);
  if (match == Allowlist::Match::kExact) return {Verdict::kAllow, "allowlist"};
  const Result<> guard = guard_name(name);
  if (!guard) return {Verdict::kDeny, guard.error().message};
  if (match == Allowlist::Match::kSuffix) return {Verdict::kAllow, "allowlist, by a suffix"};
  if (ask_ == nullptr) return {Verdict::kDeny, "not in the allowlist, and no ask endpoint is set"};
  return {Verdict::kUnknown, "the ask endpoint has not been asked"};
}

Task<Decision> Policy::decide(ServerName name) {
  Decision decision = decide_without_asking(name);
  if (decision.verdict == Verdict::kUnknown) decision = co_await ask_->ask(std::move(name));
  co_return decision;
}

void Policy::replace_allowlist(std::shared_ptr<const Allowlist> allowlist) {
  allowlist_ = std::move(allowlist);
}

}  // namespace latchkey
