#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/certificate.h"

namespace latchkey::acme {

// What a certificate that nobody is to trust says.
struct SelfSigned {
  struct Extension {
    std::string oid;  // in dots
    bool critical = false;
    std::string der;
  };

  std::string common_name;
  std::string dns_name;             // its only one; <= 253 bytes
  std::chrono::hours life{7 * 24};  // from a day ago
  std::vector<Extension> extensions{};
  std::string address{};  // its only name instead: an iPAddress of 4 or 16 bytes
};

// With a new P-256 key, which signs it.
Result<CertificatePtr> make_self_signed(const SelfSigned& what);

}  // namespace latchkey::acme
