#pragma once
#include <string_view>

namespace latchkey::acme {

// Does this chain end under the CA of that name: is it the common name of the issuer of its last
// certificate? (As certbot's --preferred-chain has it. A chain that holds its root ends under it.)
// False for what is no chain.
bool ends_under(std::string_view chain_pem, std::string_view common_name);

}  // namespace latchkey::acme
