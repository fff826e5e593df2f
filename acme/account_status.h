#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey::acme {

// For people.
struct AccountStatus {
  std::string directory;
  std::string url;      // "" before it is registered
  std::string status;   // the CA's word: "valid", "deactivated", "revoked"; "" when not asked
  std::string eab_kid;  // "" for none
  std::vector<std::string> contact{};  // <= 16 of <= 256 bytes, printable
  bool deactivated = false;            // by us
};

// Status and contact of an account object (RFC 8555, 7.1.2). `url`: where `body` came from, for
// messages.
Result<AccountStatus> parse_account(std::string_view url, std::string_view body);

}  // namespace latchkey::acme
