#pragma once
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;  // BoringSSL's EVP_PKEY

namespace latchkey::acme {

// Is `signature` the key's over `data`? `algorithm`: DER of an AlgorithmIdentifier; ECDSA, RSA
// (PKCS#1 and PSS) with SHA-2, Ed25519. Errors (kProtocol): an algorithm that we do not accept, or
// the signature is not right.
Result<> verify_signature(std::string_view algorithm, std::string_view data,
                          std::string_view signature, evp_pkey_st* key);

}  // namespace latchkey::acme
