#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::test {

// Debian's Caddy as a CA (its acme_server), a second implementation of RFC 8555. It looks for
// challenges on the ports 80 and 443 and asks the system for addresses: for tests that have called
// enter_own_network() and shown a file of hosts.
class Caddy {
 public:
  explicit Caddy(std::filesystem::path folder);
  ~Caddy();

  std::string directory() const;          // URL
  std::filesystem::path ca_file() const;  // that verifies its own HTTPS
  std::string roots() const;              // PEM, of what it issues
  std::string log() const { return process_ ? process_->output() : ""; }

  void stop();
  void start();  // again: same address, same root, same accounts

 private:
  std::filesystem::path folder_;
  ReservedPort port_{ReservedPort::Hold::kFree};
  ReservedPort admin_port_{ReservedPort::Hold::kFree};
  std::optional<Process> process_;
};

}  // namespace latchkey::test
