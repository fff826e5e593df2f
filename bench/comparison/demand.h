#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bench/comparison/lab.h"
#include "bench/comparison/peer.h"
#include "tests/support/ask_server.h"
#include "tests/support/pebble.h"
#include "tests/support/tls_swarm.h"

namespace latchkey::bench {

// A server that gets certificates on demand, with an ask endpoint that counts and a CA of its own:
// Pebble, which validates without sleeping. Names that begin with "denied" are denied.
class Demand {
 public:
  // Errors: one of them does not start.
  static Result<std::unique_ptr<Demand>> start(Lab& lab, const std::string& server);

  Peer& peer() { return *peer_; }
  test::AskServer& ask() { return ask_; }
  size_t orders() const { return pebble_->orders(); }
  // From now on the CA takes connections and says nothing.
  void silence_ca();

  // Of one new name, with everything from connect() on; ms. Errors: it failed.
  Result<double> first_handshake(const std::string& name);
  // Many at once, or by a rate; each from its own address of the loopback network.
  std::vector<test::Handshake> swarm(test::SwarmOptions options);

 private:
  Demand() = default;

  std::unique_ptr<test::Pebble> pebble_;
  test::AskServer ask_{judge};
  std::unique_ptr<Peer> peer_;

  static test::Response judge(const std::string& domain);
};

// The how-manieth new name of this run, so that no two rows have the same: "a-1.new.test".
std::string new_name(std::string_view label);

size_t served(const std::vector<test::Handshake>& handshakes);
double quantile_of(std::vector<double> values, double q);
std::string first_failure(const std::vector<test::Handshake>& handshakes);

}  // namespace latchkey::bench
