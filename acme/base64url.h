#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace latchkey::acme {

// RFC 4648, 5, without padding: what JWS and ACME use for bytes.
std::string base64url(std::string_view bytes);
// Strict: no padding, no white space, no bits left over.
std::optional<std::string> base64url_decode(std::string_view text);
// Made of the alphabet's characters only: tokens and nonces (RFC 8555, 6.5.1 and 8.1).
bool is_base64url(std::string_view text);

}  // namespace latchkey::acme
