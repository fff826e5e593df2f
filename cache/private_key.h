#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;  // BoringSSL's EVP_PKEY

namespace latchkey {

// A private key. Shared between a certificate and the connections that it serves; immutable.
using PrivateKey = std::shared_ptr<evp_pkey_st>;

PrivateKey generate_p256_key();
PrivateKey generate_p384_key();
PrivateKey generate_rsa2048_key();  // takes 100 ms and more

// "p256", "p384", "rsa2048", ...
std::string key_type_of(const PrivateKey& key);

// The public half: a SubjectPublicKeyInfo, DER.
std::string public_key_to_der(const PrivateKey& key);

// PKCS#8 DER. A secret: it goes into the store (sealed) and nowhere else.
std::string private_key_to_der(const PrivateKey& key);
Result<PrivateKey> private_key_from_der(std::string_view der);
// A PEM private key (PKCS#8, SEC1 or PKCS#1, not encrypted).
Result<PrivateKey> private_key_from_pem(std::string_view pem);

}  // namespace latchkey
