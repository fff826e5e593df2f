#pragma once
// What bench/compare measured: docs/bench.md, "Comparison".

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace latchkey::bench {

// One server's figure in one row: the samples of its rounds.
struct Cell {
  std::string server;           // "latchkey", "floor", "nginx", "haproxy", "caddy", "pebble"
  std::vector<double> samples;  // in the row's unit; empty: it cannot do this, `note` says why
  std::vector<double> rates{};  // operations a second, where that is a figure of its own
  std::string note{};

  double median() const;  // REQUIRES: samples
  double low() const;
  double high() const;
};

struct Target {
  double limit = 0;       // what Latchkey's median may be at most (or at least)
  std::string against{};  // of this server's median: a factor; empty: absolute, in the row's unit
  bool at_least = false;
};

enum class Verdict { kMet, kMissed, kNotMeasured };

struct Row {
  std::string id;     // "handshake_full"
  std::string title;  // "full TLS 1.3 handshake (P-256, X25519)"
  std::string unit;   // "us of CPU"
  std::vector<Cell> cells;
  std::optional<Target> target{};
  std::string note{};  // what bounds it, and which profile shows that; what could not be made alike

  const Cell* cell(std::string_view server) const;  // null: there is none
  Verdict verdict() const;
  // Latchkey's median divided by that server's; nullopt where one of them is missing.
  std::optional<double> ratio_to(std::string_view server) const;
};

struct Comparison {
  std::string started;  // RFC 3339
  double seconds = 0;   // the whole run
  std::vector<std::pair<std::string, std::string>>
      machine;  // "cpu", "cores", "kernel", "descriptor limit"
  std::vector<std::pair<std::string, std::string>> versions;  // server -> version
  std::vector<Row> rows;
};

std::string to_json(const Comparison& comparison);
Result<Comparison> parse_comparison(std::string_view json);

}  // namespace latchkey::bench
