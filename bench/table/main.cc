// latchkey-bench-table: several measurements of latchkey-bench as one table, a line each.
#include <cstdio>
#include <string>

#include "base/file.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMaxBytes = 64u << 20;

// The latency that the scenario is about.
const Histogram* latency_of(const Measurement& measurement) {
  for (const char* name : {"request", "handshake"}) {
    const auto found = measurement.latency.find(name);
    if (found != measurement.latency.end() && !found->second.empty()) return &found->second;
  }
  return nullptr;
}

std::string milliseconds(const Histogram* latency, double q) {
  if (latency == nullptr) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(latency->quantile(q)) / 1000);
  return text;
}

// What only this scenario has, and what went wrong.
std::string remarks(const Measurement& measurement) {
  std::string out;
  const auto memory = measurement.facts.find("memory_per_connection");
  if (memory != measurement.facts.end()) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1f KiB a connection", memory->second / 1024);
    out = text;
  }
  for (const auto& [kind, times] : measurement.errors) {
    out.append(out.empty() ? "" : ", ").append(kind + " x " + std::to_string(times));
  }
  return out;
}

void print(const std::string& title, const Measurement& measurement) {
  const Histogram* latency = latency_of(measurement);
  std::printf("%-44s %9llu %9.0f %9s %9s %9.1f  %s\n", title.c_str(),
              static_cast<unsigned long long>(measurement.done), measurement.rate(),
              milliseconds(latency, 0.5).c_str(), milliseconds(latency, 0.99).c_str(),
              measurement.server_cpu_us_per_operation(), remarks(measurement).c_str());
}

int run(int argc, char** argv) {
  std::printf("%-44s %9s %9s %9s %9s %9s\n", "", "done", "a second", "p50 ms", "p99 ms", "us CPU");
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "latchkey-bench-table: expected TITLE=FILE, got \"%s\"\n", argv[i]);
      return 2;
    }
    const auto text = read_file(argument.substr(equals + 1), kMaxBytes);
    auto measurement = text ? parse_measurement(*text) : Result<Measurement>(text.error());
    if (!measurement) {
      std::fprintf(stderr, "latchkey-bench-table: %s: %s\n", argument.c_str() + equals + 1,
                   measurement.error().message.c_str());
      return 1;
    }
    print(argument.substr(0, equals), *measurement);
  }
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  if (argc > 1) return latchkey::bench::run(argc, argv);
  std::fprintf(stderr, "usage: latchkey-bench-table TITLE=FILE...\n");
  return 2;
}
