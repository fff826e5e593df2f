#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// TLS handshakes, one connection each, in a closed or an open loop; with --resume, resumed ones.
Result<> settle_handshake(Options& options);
Result<Measurement> run_handshake(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
