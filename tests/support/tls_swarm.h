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
  // The address (IPv4, host order, of 127.0.0.0/8) that a connection comes from; empty: 127.0.0.1.
  std::function<uint32_t(size_t index)> source{};
  std::string roots;
  Millis limit{60'000};   // for all of them; what is unfinished then has the error "timed out"
  bool only_rsa = false;  // see TlsOptions
  double rate = 0;        // connections a second, by the clock and not by the answers; 0: at once
  bool hold = false;      // connections stay open until the last handshake has its outcome
  // Called once all are connected and their ClientHellos sent.
  std::function<void()> all_sent{};
};

// So many handshakes at once, from one thread: every connection is open and every ClientHello on
// its way before the first answer is looked at (unless `rate` is given). By index. A connection
// ends with its handshake's outcome, and makes room for one that waits in the server's backlog.
// The descriptors of this process are raised to the hard limit, which bounds `count`; a server
// under the same limit that keeps half of it for upstreams accepts fewer at a time.
std::vector<Handshake> swarm(const SwarmOptions& options);

// Source addresses that no bound per prefix (/24) of `per_prefix` minds.
std::function<uint32_t(size_t)> spread_sources(size_t per_prefix = 200);

}  // namespace latchkey::test
