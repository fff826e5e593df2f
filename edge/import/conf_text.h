#pragma once
#include <string>
#include <string_view>

namespace latchkey::edge {

// The value of `key` in a file of certbot's renewal/ folder (configobj: "key = value" under
// "[renewalparams]"); "" when it is not there. `text`: anything.
std::string certbot_parameter(std::string_view text, std::string_view key);

// The value of `key` in one of acme.sh's .conf files ("key='value'", some of them in base64); ""
// when it is not there. Never run by a shell. `text`: anything.
std::string acme_sh_parameter(std::string_view text, std::string_view key);

}  // namespace latchkey::edge
