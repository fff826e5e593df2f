#pragma once
#include "base/result.h"
#include "bench/load/http_client.h"
#include "bench/load/options.h"
#include "bench/load/tls_client.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// HTTP requests over kept connections, or with --close over a connection each.
Result<> settle_proxy(Options& options);
Result<Measurement> run_proxy(const Options& options, const TlsClient& client);

// What --http, --path, --body and the others of them ask for; also for other scenarios that make
// requests. settle_requests() sees to it that the TLS client offers the protocol.
HttpRequest request_of(const Options& options);
Result<> settle_requests(Options& options);

}  // namespace latchkey::bench
