#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/server_name.h"

namespace latchkey::acme {

// Where the answer to a challenge may lead on.
struct RedirectRules {
  ServerName name;  // an address is followed to if it is this one, only
  uint16_t http_port = 80;
  uint16_t tls_port = 443;
};

// The URL that a redirect from `from` (one of ours, or an earlier result) leads to: RFC 3986, 5.2,
// http or https, to a host name and the ports 80, 443 or of the rules, without user info and
// fragment. `location`: any bytes. kProtocol: it is not followed; why, and what it is, escaped.
Result<std::string> follow_redirect(std::string_view from, std::string_view location,
                                    const RedirectRules& rules);

// "name:8080", "[2001:db8::1]"; without the port where it is the scheme's own.
std::string authority_of(const ServerName& name, uint16_t port, bool https);

}  // namespace latchkey::acme
