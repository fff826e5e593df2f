#include "bench/comparison/rows.h"

namespace latchkey::bench {

const std::vector<RowPlan>& row_plans() {
  static const std::vector<RowPlan> plans = {
      {"handshake_full", measure_cpu},
      {"handshake_get_close", measure_cpu},
      {"handshake_resumed", measure_cpu},
      {"http1_1k", measure_cpu},
      {"http1_64k", measure_cpu},
      {"http1_1m", measure_cpu},
      {"http2_1k", measure_cpu},
      {"http2_64k", measure_cpu},
      {"idle_memory", measure_memory},
      {"certificate_memory", measure_cached},
      {"certificate_memory_1m", measure_cached},
      {"first_handshake", measure_first},
      {"first_handshake_p99", measure_first},
      {"new_50", measure_new},
      {"new_200", measure_new},
      {"herd_500", measure_herds},
      {"herd_500_asks", measure_herds},
      {"herd_500_orders", measure_herds},
      {"herd_10000", measure_herds},
      {"herd_10000_asks", measure_herds},
      {"herd_10000_orders", measure_herds},
      {"deny_1000", measure_denials},
      {"deny_names", measure_denials},
      {"cached_p99_first", measure_waiting_names},
      {"cached_p99", measure_waiting_names},
      {"start_10k", measure_starts},
      {"start_100k", measure_starts},
      {"start_1m", measure_starts},
      {"random_names", measure_cached},
      {"first_touch", measure_cached},
      {"growth_names", measure_cached},
      {"growth_idle", measure_resting},
  };
  return plans;
}

}  // namespace latchkey::bench
