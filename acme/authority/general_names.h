#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"

namespace latchkey::acme {

// A dNSName, a wildcard or the text of an address, as certificates and requests spell them.
Result<ServerName> name_in_certificate(std::string_view text);

// The names of a subjectAltName (RFC 5280, 4.2.1.6; DER of GeneralNames), in their order.
// Untrusted. kInvalid ("has ..."): it does not parse, names more than `max`, or something else than
// names and addresses.
Result<std::vector<ServerName>> names_in_general_names(std::string_view der, size_t max);

// What a certificate that an authority has made says. DER; kInvalid where it does not parse.
struct LeafFacts {
  std::string serial;             // hex, lower case
  std::vector<ServerName> names;  // none where one of them is no name
  std::string public_key;         // DER, SubjectPublicKeyInfo
};
Result<LeafFacts> read_leaf(std::string_view der);

}  // namespace latchkey::acme
