#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// Names that are to be refused: done is what an alert ended; the alerts' names are among the facts.
// Several rounds go over the same names, one round after the other.
Result<> settle_deny(Options& options);
Result<Measurement> run_deny(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
