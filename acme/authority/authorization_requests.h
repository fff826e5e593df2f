#pragma once
#include <string>

#include "acme/authority/server_context.h"
#include "acme/authority/tally.h"
#include "acme/authority/validation.h"
#include "base/task_set.h"
#include "base/turnstile.h"

namespace latchkey::acme {

// Authorizations and their challenges (RFC 8555, 7.5), and the looks at domains. Control thread.
class AuthorizationRequests {
 public:
  // At once; the rest wait in the order of their arrival, and beyond kMaxWaiting, or an account's
  // share of them, an answer to a challenge is refused.
  static constexpr size_t kMaxLooks = 1'000;
  static constexpr size_t kMaxWaiting = 10'000;
  static constexpr size_t kMaxOfAccount = 500;  // a whole order and more
  // Requests of an account that wait for a look; the others are answered at once.
  static constexpr size_t kMaxPolls = 100;

  explicit AuthorizationRequests(ServerContext& context)
      : context_(context), places_(context.clock, kMaxLooks) {}

  // Reads it, or deactivates it.
  Task<ServerAnswer> authorization(ServerCall call);
  // Reads it, or says that it can be looked at.
  Task<ServerAnswer> challenge(ServerCall call);
  // Takes up the looks that a restart, or a failure, has cut off. `account`: the order's.
  void resume(const LiveOrderPtr& live, const ServerAccountPtr& account);

 private:
  Task<Judged<LiveOrderPtr>> find(ServerRoute route, ServerAccountPtr account);
  Task<Judged<>> begin(ServerCall call, LiveOrderPtr live);
  void resume(const LiveOrderPtr& live, size_t index, const ServerAccountPtr& account);
  void look(const LiveOrderPtr& live, size_t index, ChallengeType type,
            const ServerAccountPtr& account);
  bool has_room(const std::string& account) const;
  void looked(LiveOrder& live, size_t index, ChallengeType type, const ValidationResult& result);
  Task<> looking(LiveOrderPtr live, size_t index, Validation what);
  Task<> wait_for_look(LiveOrderPtr live, size_t index);
  ServerAnswer challenge_answer(const ServerCall& call, const LiveOrder& live) const;

  ServerContext& context_;
  Turnstile places_;
  Tally looks_;    // under way or waiting
  Tally polls_;    // requests that wait for them
  TaskSet tasks_;  // <= looks_, and some that are done; before the places they are in
};

}  // namespace latchkey::acme
