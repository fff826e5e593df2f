#pragma once
#include <string>

#include "base/server_name.h"

namespace latchkey::acme {

// Addresses as ACME and certificates have them. REQUIRES: name.is_ip().

// An iPAddress (RFC 5280, 4.2.1.6): 4 or 16 bytes.
std::string address_octets(const ServerName& name);
// The name that a CA says when it tries TLS-ALPN-01 (RFC 8738, 6): "7.2.0.192.in-addr.arpa".
ServerName reverse_name(const ServerName& name);

}  // namespace latchkey::acme
