#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// Handshakes of names that the server has, at a rate, and beside them, from the end of the warm-up
// on, handshakes of names that it never saw. Only the former are operations. Latencies:
// "handshake", "handshake_first_second", "unknown".
Result<> settle_flood(Options& options);
Result<Measurement> run_flood(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
