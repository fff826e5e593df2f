#pragma once
#include <memory>
#include <string>

namespace latchkey {

// What an ask endpoint said about a name that it allows, beyond yes. Empty: it said nothing.
struct Grant {
  std::string upstream{};  // where the name's requests go: "http://10.0.0.7:3000"
  std::string tenant{};    // whose name it is, for people
  std::string issuer{};    // which of the configuration's issuers is to be used
  std::string profile{};   // the ACME profile to ask for
  std::string key_type{};  // "p256", "p384", "rsa2048"
  bool wildcard = false;   // wanted for the wildcard of its first label, too

  friend bool operator==(const Grant&, const Grant&) = default;
};
using GrantPtr = std::shared_ptr<const Grant>;  // null: nothing was said

}  // namespace latchkey
