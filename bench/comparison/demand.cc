#include "bench/comparison/demand.h"

#include <signal.h>

#include <algorithm>

#include "base/check.h"
#include "bench/comparison/started.h"

namespace latchkey::bench {

Result<std::unique_ptr<Demand>> Demand::start(Lab& lab, const std::string& server) {
  std::unique_ptr<Demand> out(new Demand);
  PeerSetup setup = lab.setup(server);
  PeerSetup::OnDemand on_demand;
  on_demand.ask = out->ask_.url();
  test::Pebble::Options options;
  options.tls_port = setup.port;
  options.http_port = lab.new_port();
  options.sleeps = false;
  out->pebble_ = std::make_unique<test::Pebble>(setup.folder / "pebble", std::move(options));
  on_demand.directory = out->pebble_->directory();
  on_demand.ca_file = out->pebble_->ca_file();
  setup.on_demand = std::move(on_demand);
  auto peer = Peer::start(server, setup);
  if (!peer) return peer.error();
  out->peer_ = *std::move(peer);
  return out;
}

void Demand::silence_ca() {
  ::kill(pebble_->pid(), SIGSTOP);
}

Result<double> Demand::first_handshake(const std::string& name) {
  test::TlsOptions options;
  options.port = peer_->port();
  options.sni = name;
  const Timer timer;
  const test::TlsClient client(options);
  const double ms = timer.ms();
  if (client.handshake().done) return ms;
  return peer_->failure("failed a first handshake (" + client.handshake().error + ")");
}

std::vector<test::Handshake> Demand::swarm(test::SwarmOptions options) {
  options.port = peer_->port();
  options.source = test::spread_sources();
  return test::swarm(options);
}

test::Response Demand::judge(const std::string& domain) {
  test::Response response;
  if (domain.starts_with("denied")) response.status = 403;
  return response;
}

std::string new_name(std::string_view label) {
  static int number = 0;
  return std::string(label) + "-" + std::to_string(++number) + std::string(kNewNames);
}

size_t served(const std::vector<test::Handshake>& handshakes) {
  return static_cast<size_t>(std::count_if(handshakes.begin(), handshakes.end(),
                                           [](const auto& handshake) { return handshake.done; }));
}

double quantile_of(std::vector<double> values, double q) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

std::string first_failure(const std::vector<test::Handshake>& handshakes) {
  for (const auto& handshake : handshakes) {
    if (!handshake.done) return handshake.error;
  }
  return "";
}

}  // namespace latchkey::bench
