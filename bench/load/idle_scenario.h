#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// So many connections, opened and kept, and the server's memory before, after, and when they have
// rested for a while.
Result<> settle_idle(Options& options);
Result<Measurement> run_idle(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
