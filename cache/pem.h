#pragma once
#include <string>
#include <string_view>

namespace latchkey {

// DER in PEM (RFC 7468).
std::string certificate_pem(std::string_view der);
std::string pkcs8_pem(std::string_view der);  // a private key: a secret

}  // namespace latchkey
