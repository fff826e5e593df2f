#pragma once
// Results as a run could have written them.

#include "bench/report/comparison.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

inline Measurement sample_measurement() {
  Measurement out;
  out.scenario = "handshake";
  out.target = "127.0.0.1:8443";
  out.command = {"latchkey-bench", "handshake", "--target", "127.0.0.1:8443"};
  out.started = "2026-11-22T03:04:05Z";
  out.seconds = 2.002;
  out.started_operations = 12'350;
  out.done = 12'335;
  out.failed = 12;
  out.resumed = 3;
  for (uint64_t i = 1; i <= 12'335; ++i) out.latency["handshake"].record(800 + i * i % 977);
  out.latency["handshake"].record(123'457, 3);
  out.latency["first_byte"].record(90);
  out.errors = {{"alert unrecognized_name", 9}, {"reset", 3}};
  out.bytes_in = (uint64_t{1} << 60) + 1;
  out.bytes_out = 4096;
  out.server = Measurement::Server{1.375, 12'300'000, 14'900'000};
  out.client_cpu_seconds = 0.5;
  out.series = {{1, 6000, 0, 950.5, 1700}, {2, 6335, 12, 960, 1800.25}};
  out.facts = {{"memory_per_connection", 4600}, {"first_us", 1234}};
  return out;
}

inline Row sample_row(std::string id, std::string title, double ours, double floor,
                      std::optional<Target> target) {
  Row out{.id = std::move(id), .title = std::move(title), .unit = "us of CPU", .cells = {}};
  out.cells = {{.server = "nginx", .samples = {250, 260, 256}, .rates = {3500, 3600, 3700}},
               {.server = "floor", .samples = {floor - 1, floor, floor + 2}},
               {.server = "latchkey", .samples = {ours + 3, ours, ours - 1}},
               {.server = "caddy", .samples = {}, .rates = {}, .note = "Caddy cannot do this"}};
  out.target = std::move(target);
  return out;
}

// A row that is met, one that is missed, one that was not measured, one without a target.
inline Comparison sample_comparison() {
  Comparison out;
  out.started = "2026-11-22T03:04:05Z";
  out.seconds = 512.25;
  out.machine = {{"cpu", "Some CPU"}, {"cores", "2"}};
  out.versions = {{"latchkey", "0.1.0"}, {"nginx", "1.22.1"}};
  out.rows = {
      sample_row("full", "full handshake", 112, 111, Target{.limit = 1.02, .against = "floor"}),
      sample_row("resumed", "resumed handshake", 95, 83, Target{.limit = 1.04, .against = "floor"}),
      sample_row("herd", "the herd", 90, 80, Target{.limit = 0.5, .against = "haproxy"}),
      sample_row("order", "the order alone", 8, 7, std::nullopt)};
  out.rows[1].note = "Bound by the kernel: perf says so";
  return out;
}

}  // namespace latchkey::bench
