#pragma once
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace latchkey {

// Retry-After (RFC 9110, 10.2.3): seconds, or an HTTP-date seen from `now`. Between 0 and a day;
// nullopt: nothing that can be understood.
std::optional<Millis> parse_retry_after(std::string_view text, WallTime now);

}  // namespace latchkey
