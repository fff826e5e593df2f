#pragma once
// What one call of latchkey-bench measured: docs/bench.md, "Measurement".

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/report/histogram.h"

namespace latchkey::bench {

struct Measurement {
  // A second of the run.
  struct Slice {
    double at = 0;  // its end, in seconds since the window began
    uint64_t done = 0, failed = 0;
    double p50_us = 0, p99_us = 0;  // of the scenario's main latency
  };
  struct Server {  // of all processes of --server-pid
    double cpu_seconds = 0;
    uint64_t rss_before = 0, rss_after = 0;  // bytes
  };

  std::string scenario, target;
  std::vector<std::string> command;
  std::string started;  // RFC 3339
  double seconds = 0;   // the window, without the warm-up
  uint64_t started_operations = 0, done = 0, failed = 0, resumed = 0;
  std::map<std::string, Histogram> latency;  // "handshake", "request", "first_byte"; microseconds
  std::map<std::string, uint64_t> errors;    // by kind
  uint64_t bytes_in = 0, bytes_out = 0;      // of TLS payload
  std::optional<Server> server;
  double client_cpu_seconds = 0;
  std::vector<Slice> series;
  std::map<std::string, double> facts;

  double rate() const { return seconds > 0 ? static_cast<double>(done) / seconds : 0; }
  // 0 without --server-pid or without operations.
  double server_cpu_us_per_operation() const {
    return server && done != 0 ? server->cpu_seconds * 1e6 / static_cast<double>(done) : 0;
  }
};

std::string to_json(const Measurement& measurement);
// Errors: what is missing or of the wrong kind.
Result<Measurement> parse_measurement(std::string_view json);

}  // namespace latchkey::bench
