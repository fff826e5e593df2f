#pragma once
#include "acme/authority/server_context.h"

namespace latchkey::acme {

// newAccount, the account's URL and keyChange (RFC 8555, 7.3). Control thread.
class AccountRequests {
 public:
  explicit AccountRequests(ServerContext& context) : context_(context) {}

  Task<ServerAnswer> new_account(ServerCall call);
  // Reads it, changes its contacts or deactivates it.
  Task<ServerAnswer> account(ServerCall call);
  Task<ServerAnswer> change_key(ServerCall call);

 private:
  Task<Judged<ServerAccountPtr>> register_account(ServerCall call,
                                                  std::vector<std::string> contacts,
                                                  std::string external_kid);
  Task<Judged<>> has_room(std::string client);
  ServerAnswer existing(const ServerCall& call, const ServerAccountPtr& account) const;

  ServerContext& context_;
  std::optional<size_t> count_{};  // of the accounts; unknown before the first is made
};

}  // namespace latchkey::acme
