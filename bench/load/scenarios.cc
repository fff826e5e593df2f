#include "bench/load/scenarios.h"

#include "bench/load/deny_scenario.h"
#include "bench/load/flood_scenario.h"
#include "bench/load/handshake_scenario.h"
#include "bench/load/herd_scenario.h"
#include "bench/load/idle_scenario.h"
#include "bench/load/onboard_scenario.h"
#include "bench/load/proxy_scenario.h"
#include "bench/load/soak_scenario.h"

namespace latchkey::bench {

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"handshake", "TLS handshakes, one connection each; --resume: resumed ones", settle_handshake,
       run_handshake},
      {"herd", "--count N connections at the same moment for one new name", settle_herd, run_herd},
      {"onboard", "--count N new names, all at once or at --rate R", settle_onboard, run_onboard},
      {"deny", "names that are refused; --repeat K rounds over the same names", settle_deny,
       run_deny},
      {"flood", "handshakes of cached names at --rate, beside unknown names", settle_flood,
       run_flood},
      {"idle", "--count N connections opened and kept; the server's memory of each", settle_idle,
       run_idle},
      {"proxy", "HTTP requests over kept connections; --close: one connection each", settle_proxy,
       run_proxy},
      {"soak", "handshakes and requests for a long time; drifts of memory and latency", settle_soak,
       run_soak},
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
