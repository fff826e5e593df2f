#pragma once
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

struct Scenario {
  std::string_view name;
  std::string_view summary;  // for --help
  // Completes the options with the scenario's own defaults, before the TLS client is made of them.
  // Errors: an option that is missing, or that does not fit.
  Result<> (*settle)(Options& options);
  Result<Measurement> (*run)(const Options& options, const TlsClient& client);
};

// In the order of --help.
const std::vector<Scenario>& scenarios();
const Scenario* find_scenario(std::string_view name);  // null: there is none

}  // namespace latchkey::bench
