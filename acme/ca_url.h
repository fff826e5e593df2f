#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace latchkey::acme {

// A URL that a CA (or the operator) gave us, checked: https, or http to a loopback address; a
// host; no user, no control characters or spaces; at most 2,048 bytes. The error names `what` and
// shows the URL.
Result<std::string> check_ca_url(std::string_view what, std::string_view url);

// The host of a URL, lower case, without port, brackets and trailing dot; "" if there is none.
std::string host_of(std::string_view url);

// Is this the host of a public CA that hands out publicly trusted certificates? Their staging
// hosts are not.
bool is_public_production_ca(std::string_view host);

}  // namespace latchkey::acme
