#pragma once
#include <string>
#include <string_view>

namespace latchkey {

// RFC 3986's host and port, as far as HTTP has a use for it: a registered name or an address
// ("[::1]:80"), perhaps with a port from 0 to 65535; no user info.
bool is_authority(std::string_view text);

// A URL as people and logs may see it: without what may be a password or a key, so without user
// info, query and fragment; "..." stands for each. `url`: any text. A password may hold any of
// "/?#@" unescaped: where it is not clear what is one, too much is left out rather than too little.
std::string url_without_secrets(std::string_view url);

}  // namespace latchkey
