#pragma once
#include <algorithm>
#include <iterator>
#include <string_view>

#include "acme/order.h"

namespace latchkey::acme {

// What RFC 8555, 7.1.6 calls the states: by enumerator.
inline constexpr std::string_view kOrderWords[] = {"pending", "ready", "processing", "valid",
                                                   "invalid"};
inline constexpr std::string_view kAuthorizationWords[] = {"pending",     "valid",   "invalid",
                                                           "deactivated", "expired", "revoked"};
inline constexpr std::string_view kChallengeWords[] = {"pending", "processing", "valid", "invalid"};
inline constexpr std::string_view kChallengeTypeWords[] = {"tls-alpn-01", "http-01", "dns-01"};

template <typename Enum, size_t kCount>
std::string_view word_of(Enum value, const std::string_view (&words)[kCount]) {
  return words[static_cast<size_t>(value)];
}
// False: none of them.
template <typename Enum, size_t kCount>
bool enum_of(std::string_view word, const std::string_view (&words)[kCount], Enum& out) {
  const auto* const found = std::find(std::begin(words), std::end(words), word);
  if (found == std::end(words)) return false;
  out = static_cast<Enum>(found - std::begin(words));
  return true;
}

}  // namespace latchkey::acme
