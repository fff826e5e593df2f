#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/server_problem.h"
#include "base/server_name.h"

namespace latchkey::acme {

// What a certificate request (PKCS#10) asks for.
struct CsrFacts {
  std::vector<ServerName> names;  // sorted, each once; wildcards and addresses, too
  std::string public_key;         // DER, SubjectPublicKeyInfo; check_public_key() has no objection
  bool must_staple = false;       // RFC 7633
};

// Untrusted DER. badCSR: it does not parse, its key will not do, its signature is not its key's, it
// names what is no name (in the subjectAltName, or in a common name that has none beside it), or
// more than 100. Extensions other than subjectAltName and TLS feature are not looked at.
Judged<CsrFacts> read_csr(std::string_view der);

}  // namespace latchkey::acme
