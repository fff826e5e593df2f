#pragma once
#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// So many clients that want one name at the same moment. All are connected and have made their
// ClientHello before; latencies count from the moment at which the first of them is sent.
Result<> settle_herd(Options& options);
Result<Measurement> run_herd(const Options& options, const TlsClient& client);

}  // namespace latchkey::bench
