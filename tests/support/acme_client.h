#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace latchkey::test {

// One of Debian's ACME clients, as people use it, with a folder of its own and one certificate for
// one name. Each call runs to its end; a run takes some seconds.
class AcmeClient {
 public:
  struct Options {
    std::filesystem::path folder;
    std::string directory;          // URL
    std::filesystem::path ca_file;  // that verifies the CA's own HTTPS
    std::string name;
    std::string challenge = "http-01";  // or "tls-alpn-01", lego: or "dns-01"
    uint16_t http_port = 0;             // where the CA looks for it; free
    uint16_t tls_port = 0;
    std::string dns_management{};                // see ChallengeDns
    std::string external_kid{}, external_key{};  // lego: the key in base64url
    std::string preferred_chain{};               // lego: the common name of its root
  };
  enum class Kind { kCertbot, kLego, kDehydrated, kUacme, kCaddy };

  // uacme needs a view of the file system of its own, which not every kernel gives.
  static bool works_here(Kind kind);
  static std::unique_ptr<AcmeClient> make(Kind kind, const Options& options);
  virtual ~AcmeClient() = default;

  virtual ProgramEnded obtain() = 0;
  virtual ProgramEnded renew() = 0;  // although it is not due yet
  virtual ProgramEnded revoke() = 0;

  // PEM of what it has now, leaf first; "" where there is none.
  virtual std::string chain() const = 0;
};

}  // namespace latchkey::test
