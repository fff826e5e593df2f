#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tests/support/tls_client.h"

namespace latchkey::test {

struct SwarmOptions {
  uint16_t port = 0;
  size_t count = 0;
  std::function<std::string(size_t index)> sni;
  std::string roots;
  Millis limit{60'000};  // for all of them; what is unfinished then has the error "timed out"
};

// So many handshakes at once, from one thread: every connection is open and every ClientHello on
// its way before the first answer is looked at. By index.
std::vector<Handshake> swarm(const SwarmOptions& options);

}  // namespace latchkey::test
