#pragma once
#include <memory>
#include <string>

namespace latchkey {

// An upstream was named that cannot be used: the name's requests go nowhere, rather than to where
// somebody else's go.
inline constexpr const char* kUnusableUpstream = "unusable";

// What an ask endpoint said about a name that it allows, beyond yes. Empty: it said nothing.
struct Grant {
  // Where the name's requests go: "http://10.0.0.7:3000". Or kUnusableUpstream.
  std::string upstream{};
  std::string tenant{};    // whose name it is, for people
  std::string issuer{};    // which of the configuration's issuers is to be used
  std::string profile{};   // the ACME profile to ask for
  std::string key_type{};  // "p256", "p384", "rsa2048"
  bool wildcard = false;   // wanted for the wildcard of its first label, too

  friend bool operator==(const Grant&, const Grant&) = default;
};
using GrantPtr = std::shared_ptr<const Grant>;  // null: nothing was said

}  // namespace latchkey
