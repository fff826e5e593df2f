#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::test {

// Debian's bind9: a real name server, on a port of 127.0.0.1 by UDP and TCP. It knows its zones,
// into which it follows CNAMEs, and nothing else, and takes updates of them that are signed by the
// key.
class NameServer {
 public:
  struct Zone {
    std::string name;  // "a.test"
    // More lines of its zone file, beside SOA, NS (ns.<name>) and addresses:
    // "_acme-challenge.www CNAME www.proofs.test.\n".
    std::string records{};
  };
  struct Options {
    std::vector<Zone> zones{};
    std::string algorithm = "hmac-sha256";  // of the key
    // Each name in the zones is 127.0.0.1 ("* A"), as long as nothing is below it: a TXT record at
    // _acme-challenge.a takes the address from a (RFC 4592, 2.2.2).
    bool names_are_loopback = true;
  };

  // It answers when this is made.
  NameServer(std::filesystem::path folder, Options options);

  std::string address() const;  // "127.0.0.1:10053", for queries and updates
  uint16_t port() const { return port_.number(); }
  const std::string& key_name() const { return key_name_; }
  const std::string& algorithm() const { return options_.algorithm; }
  const std::string& secret() const { return secret_; }  // its bytes
  std::string secret_base64() const;

  // The TXT records at exactly that name now, sorted. Asks the server.
  std::vector<std::string> txt(const std::string& name) const;

  bool running() { return server_ && server_->running(); }
  void stop();
  void start();   // again: same port, with what was there
  void freeze();  // it takes connections and answers nothing, until thaw()
  void thaw();
  std::string log() const { return server_ ? server_->output() : ""; }

 private:
  void configure() const;

  std::filesystem::path folder_;
  Options options_;
  std::string key_name_ = "latchkey-test";
  std::string secret_;
  ReservedPort port_{ReservedPort::Hold::kFree};
  std::optional<Process> server_;
};

}  // namespace latchkey::test
