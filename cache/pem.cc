#include "cache/pem.h"

#include <openssl/base64.h>

#include <cstdint>

namespace latchkey {
namespace {

std::string pem_of(std::string_view label, std::string_view der) {
  std::string base64(4 * ((der.size() + 2) / 3) + 1, '\0');  // and the 0 that is written behind
  base64.resize(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(base64.data()),
                                reinterpret_cast<const uint8_t*>(der.data()), der.size()));
  std::string out = "-----BEGIN " + std::string(label) + "-----\n";
  for (size_t at = 0; at < base64.size(); at += 64) out.append(base64, at, 64).append("\n");
  return out.append("-----END ").append(label).append("-----\n");
}

}  // namespace

std::string certificate_pem(std::string_view der) {
  return pem_of("CERTIFICATE", der);
}

std::string pkcs8_pem(std::string_view der) {
  return pem_of("PRIVATE KEY", der);
}

}  // namespace latchkey
