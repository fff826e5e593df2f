#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/grant.h"

namespace latchkey {

// What may stand in the body of a 2xx answer: {"ttl": 300, "upstream": "http://10.0.0.7:3000",
// "tenant": "acme-inc", "issuer": "name", "profile": "shortlived", "key_type": "p256",
// "wildcard": false}. Every key is optional, null means that it is absent, and unknown keys are
// left alone.
struct AskAnswer {
  std::optional<Millis> ttl{};  // seconds in the text; 0 to 30 days
  Grant grant{};
  bool says_something = false;  // at least one key that we know
  // Not empty: what is wrong with it; <= 1 KiB. The name is allowed all the same; a member that is
  // wrong is left out, the others count.
  std::string complaint{};
};

// `body`: untrusted, any bytes. A body that is no JSON object (a plain "ok", say) says nothing. It
// is a complaint only where an object was meant: when it begins with '{' or '[', or when it is no
// JSON and `content_type` calls it so.
AskAnswer parse_ask_answer(std::string_view body, std::string_view content_type);

// max-age of Cache-Control (RFC 9111, 5.2.2.1) where it is above 0, at most 30 days; nullopt:
// nothing said. What forbids caching counts as nothing: many web frameworks say so on every answer,
// and taken at its word it would let any stranger repeat his question forever. A ttl of 0 is for
// who means it.
std::optional<Millis> cache_control_max_age(std::string_view value);

}  // namespace latchkey
