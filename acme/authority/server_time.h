#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace latchkey::acme {

// "2026-01-02T03:04:05Z" (RFC 3339).
std::string rfc3339(WallTime time);

// Seconds since 1970, as the server's own documents have times.
inline int64_t seconds_of(WallTime time) {
  return time.time_since_epoch().count();
}
// nullopt: none, or not in the years from 1970 to 9999.
std::optional<WallTime> time_in(const JsonValue& object, std::string_view key);

// 2 `bytes` characters of [0-9a-f], of which nobody can guess one.
std::string random_hex(size_t bytes);
// base64url, for a token (RFC 8555, 8.1).
std::string random_token();

}  // namespace latchkey::acme
