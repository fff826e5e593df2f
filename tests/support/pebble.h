#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/challenge_dns.h"
#include "tests/support/http_exchange.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::test {

// Debian's Pebble, a real ACME CA on loopback with validation on, and pebble-challtestsrv as the
// DNS in which every name is 127.0.0.1 (or a name server of the test's). Each start makes a new
// root and forgets all accounts.
class Pebble {
 public:
  struct Options {
    uint16_t http_port = 0;  // where it looks for http-01
    uint16_t tls_port = 0;   // and for tls-alpn-01
    bool sleeps = true;      // up to some seconds before each validation
    int validity = 0;        // of its certificates, in seconds; 0: five years
    // Accounts must be bound to one of these: kid, and its MAC key in base64url.
    std::vector<std::pair<std::string, std::string>> external_accounts{};
    int alternate_roots = 0;
    std::string ocsp_responder{};  // URL: of all leaves; "": they name none
    std::string dns_server{};      // address and port: asked instead of a DNS of its own
    std::vector<std::pair<std::string, std::string>> env{};
  };

  Pebble(std::filesystem::path folder, Options options);
  ~Pebble();

  std::string directory() const;                       // URL
  std::filesystem::path ca_file() const;               // that verifies its own HTTPS
  const std::string& roots() const { return roots_; }  // PEM, of what it issues now
  std::string root(size_t index) const;                // 0: of its own choice; then the others
  // What signs its leaves now, in PEM.
  std::string intermediate() const;
  std::string intermediate_key() const;
  // "Valid" or "Revoked"; "" for a serial number (hex) that it does not know.
  std::string status_of(const std::string& serial) const;

  bool running() { return pebble_ && pebble_->running(); }
  pid_t pid() const { return pebble_->pid(); }
  std::string log() const { return pebble_ ? pebble_->output() : ""; }
  void stop();
  void start();  // again: same address, new root

  // From its log since the last start. An order is in flight from its making until its
  // certificate is issued or it is found invalid.
  size_t orders() const;
  size_t issued() const;
  size_t failed_validations() const;
  size_t validations() const;
  size_t most_orders_in_flight() const;
  size_t bad_nonces() const;
  size_t accounts() const;

 private:
  size_t count(std::string_view part) const;
  HttpAnswer ask(const ReservedPort& port, std::string_view path) const;

  std::filesystem::path folder_;
  Options options_;
  ReservedPort acme_port_{ReservedPort::Hold::kFree};
  ReservedPort management_port_{ReservedPort::Hold::kFree};
  std::optional<ChallengeDns> dns_;
  std::optional<Process> pebble_;
  std::string roots_;
};

}  // namespace latchkey::test
