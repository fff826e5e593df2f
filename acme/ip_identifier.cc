#include "acme/ip_identifier.h"

#include <arpa/inet.h>

#include "base/check.h"
#include "base/text.h"

namespace latchkey::acme {

std::string address_octets(const ServerName& name) {
  const bool version_6 = name.text().find(':') != std::string::npos;
  std::string octets(version_6 ? 16 : 4, '\0');
  CHECK(::inet_pton(version_6 ? AF_INET6 : AF_INET, name.text().c_str(), octets.data()) == 1);
  return octets;
}

ServerName reverse_name(const ServerName& name) {
  const std::string octets = address_octets(name);
  std::string reverse;
  for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
    const auto byte = static_cast<unsigned char>(*octet);
    if (octets.size() == 4) {
      reverse += std::to_string(byte) + ".";
    } else {
      reverse += {kHexDigits[byte & 15], '.', kHexDigits[byte >> 4], '.'};
    }
  }
  Result<ServerName> parsed =
      ServerName::parse(reverse + (octets.size() == 4 ? "in-addr.arpa" : "ip6.arpa"));
  CHECK(parsed.has_value());
  return *std::move(parsed);
}

}  // namespace latchkey::acme
