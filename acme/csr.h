#pragma once
#include <string>

#include "base/server_name.h"
#include "cache/private_key.h"

namespace latchkey::acme {

// A certificate request (PKCS#10, DER) for one name, which stands in the subjectAltName alone: the
// subject is empty, so names of any length fit. An address is an iPAddress (RFC 8738). REQUIRES: an
// ECDSA or RSA key.
// must_staple: with RFC 7633's TLS feature status_request.
std::string make_csr(const ServerName& name, const PrivateKey& key, bool must_staple = false);

}  // namespace latchkey::acme
