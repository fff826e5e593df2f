#include "acme/loggable.h"

#include <array>

#include "acme/problem.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxShown = 2048;
// Escapes make a body longer, so more than this is never looked at.
constexpr size_t kMaxRead = 2 * kMaxShown;
constexpr std::array<std::string_view, 6> kHidden{"\"token\"",     "\"nonce\"",
                                                  "\"signature\"", "\"protected\"",
                                                  "\"payload\"",   "\"keyAuthorization\""};

// Behind the next key whose value is to be hidden; npos if there is none.
size_t behind_hidden_key(std::string_view text) {
  size_t first = std::string_view::npos;
  size_t behind = first;
  for (const std::string_view key : kHidden) {
    const size_t at = text.find(key);
    if (at >= first) continue;
    first = at;
    behind = at + key.size();
  }
  return behind;
}

}  // namespace

std::string loggable(std::string_view body) {
  body = body.substr(0, kMaxRead);
  std::string shown;
  for (;;) {
    const size_t key = behind_hidden_key(body);
    if (key == std::string_view::npos) break;
    const size_t open = body.find_first_not_of(" \t\r\n:", key);
    shown += body.substr(0, key);
    if (open == std::string_view::npos || body[open] != '"') {
      body.remove_prefix(key);
      continue;
    }
    shown += ":\"...\"";
    const size_t close = body.find('"', open + 1);  // base64url has no escapes
    body.remove_prefix(close == std::string_view::npos ? body.size() : close + 1);
  }
  shown += body;
  return printable(shown, kMaxShown);
}

}  // namespace latchkey::acme
