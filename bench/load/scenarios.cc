#include "bench/load/scenarios.h"

#include "bench/load/handshake_scenario.h"
#include "bench/load/proxy_scenario.h"

namespace latchkey::bench {

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"handshake", "TLS handshakes, one connection each; --resume: resumed ones", settle_handshake,
       run_handshake},
      {"proxy", "HTTP requests over kept connections; --close: one connection each", settle_proxy,
       run_proxy},
  };
  return all;
}

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario& scenario : scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace latchkey::bench
