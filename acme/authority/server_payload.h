#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/jws_key.h"
#include "acme/authority/server_problem.h"
#include "base/json.h"
#include "base/server_name.h"

namespace latchkey::acme {

// What the payloads of signed requests say. Untrusted; all problems name what is wrong.

inline constexpr size_t kMaxIdentifiers = 100;  // of an order
inline constexpr size_t kMaxContacts = 10;

// RFC 8555, 7.3.
struct NewAccountPayload {
  bool only_return_existing = false;
  std::vector<std::string> contacts{};  // mailto: URLs
  std::optional<JsonValue> binding{};   // externalAccountBinding, a JWS
};
Judged<NewAccountPayload> read_new_account(std::string_view payload);

// RFC 8555, 7.3.2 and 7.3.6: what is to be changed.
struct AccountUpdatePayload {
  std::optional<std::vector<std::string>> contacts{};
  bool deactivate = false;
};
Judged<AccountUpdatePayload> read_account_update(std::string_view payload);

// RFC 8555, 7.3.5: the inner payload.
struct KeyChangePayload {
  std::string account;
  JwsKey old_key;
};
Judged<KeyChangePayload> read_key_change(std::string_view payload);

// RFC 8555, 7.4; RFC 9773, 5.
struct NewOrderPayload {
  std::vector<ServerName> names;  // 1 to 100, in their order, each once; wildcards and addresses
  std::string replaces{};
};
Judged<NewOrderPayload> read_new_order(std::string_view payload);

// The CSR in DER (RFC 8555, 7.4).
Judged<std::string> read_finalize(std::string_view payload);

// RFC 8555, 7.6.
struct RevocationPayload {
  std::string certificate;  // DER
  int reason = 0;           // one that a subscriber may give
};
Judged<RevocationPayload> read_revocation(std::string_view payload);

// {"status":"deactivated"} (RFC 8555, 7.5.2), and nothing else will do.
Judged<> read_deactivation(std::string_view payload);

// An answer to a challenge is an object (RFC 8555, 7.5.1).
Judged<> read_challenge_answer(std::string_view payload);

}  // namespace latchkey::acme
