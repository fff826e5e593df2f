#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// First handshakes: so many new names, all at once or at a rate. Without names, random ones under
// new.test.
Result<> settle_onboard(Options& options);
Result<Measurement> run_onboard(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
