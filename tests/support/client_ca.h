#pragma once
// A CA for certificates of clients.

#include <string>

#include "cache/certificate.h"

namespace latchkey::test {

class ClientCa {
 public:
  explicit ClientCa(const std::string& name = "Clients");

  const std::string& pem() const { return pem_; }

  struct Form {
    std::string common_name = "Alice";
    std::string purpose = "clientAuth";  // "": of no extendedKeyUsage
    WallTime not_before{};               // by default an hour ago
    WallTime not_after{};                // in a day
  };
  // Signed by the CA itself.
  CertificatePtr issue(const Form& form) const;

 private:
  PrivateKey key_;
  std::string der_;
  std::string pem_;
};

}  // namespace latchkey::test
