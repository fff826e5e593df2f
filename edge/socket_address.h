#pragma once
#include <string>

struct sockaddr_storage;

namespace latchkey::edge {

// Numeric, without port, as inet_ntop(3) spells it; an IPv4 address as such also where it came
// mapped into an IPv6 one. "" for other families.
std::string address_text(const sockaddr_storage& address);

// The address of ours that a connection was made to.
std::string local_address(int fd);

}  // namespace latchkey::edge
