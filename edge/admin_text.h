#pragma once
// The admin API's JSON (docs/admin-api.md) as text for a person at a terminal. Lines end in '\n';
// what strangers wrote is escaped. Fields that are missing are left out.

#include <string>
#include <string_view>

#include "base/json.h"

namespace latchkey::edge {

std::string status_text(const JsonValue& status);
std::string budget_text(const JsonValue& budget);
std::string explain_text(const JsonValue& name);
std::string obtain_text(const JsonValue& obtained);
std::string ask_text(const JsonValue& answer);
std::string reload_text(const JsonValue& reloaded);

// Without control characters.
std::string printable(std::string_view text);
// "45 s", "12 min", "23 h", "80 d".
std::string span_text(double seconds);

}  // namespace latchkey::edge
