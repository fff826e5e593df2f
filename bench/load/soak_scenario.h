#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// Handshakes and requests over kept connections, half of the rate (or of the connections) each, for
// a long time: whether the server's memory and the latencies stay what they are.
Result<> settle_soak(Options& options);
Result<Measurement> run_soak(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
