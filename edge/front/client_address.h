#pragma once
#include <string>
#include <string_view>

#include "base/address_ranges.h"
#include "edge/http/message.h"

namespace latchkey::edge {

// An IP address as the proxies before us write it ("192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80",
// with quotes, too) in its one spelling without port; an IPv4 address in IPv6's clothes becomes an
// IPv4 one. "": it is none.
std::string plain_address(std::string_view text);

// Who asked: the last address before the trusted proxies that the request came through, by
// X-Forwarded-For, or by Forwarded where there is none. `peer`, itself a trusted proxy, is where
// the connection came from. What stands before something that is no address counts for nothing.
std::string client_behind_proxies(const HeaderList& headers, const std::string& peer,
                                  const AddressRanges& trusted);

}  // namespace latchkey::edge
