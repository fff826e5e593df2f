#pragma once
// How figures are written for people: three digits that count, in the unit that fits.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/comparison.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

struct Quantity {
  std::string number, unit;  // the unit may be empty
  std::string text() const { return unit.empty() ? number : number + " " + unit; }
};

Quantity duration(double us);      // 8.4 us, 842 us, 1.24 ms, 3.21 s; from two minutes on 2 min 5 s
Quantity bytes(double count);      // 812 B, 4.49 KiB, 12.1 MiB
std::string figure(double value);  // 0.0123, 1.02, 13.5, 111, 12 345, 1
std::string whole(uint64_t value);  // 1234, 12 345, 1 234 567
// "22 November 2026, 03:00 UTC" of 2026-11-22T03:00:00Z; anything else as it is.
std::string when(std::string_view rfc3339);
std::string percent(double share);  // of 1: 0.013 %, 1.2 %, 100 %

// A fact of a measurement by its name, whose end says the unit: "first_us" is a duration,
// "resumed_bytes" and all that begins with "memory_" are sizes, "lost_percent" is what it says.
struct Fact {
  std::string label;  // "memory per connection"
  Quantity value;
};
Fact fact(std::string_view name, double value);

// What was timed, the scenario's main latency first, without those that never happened: "first
// byte" and its histogram, which is the measurement's.
std::vector<std::pair<std::string, const Histogram*>> latencies_of(const Measurement& measurement);

// "<= 1.02 x floor", ">= 97 %"; absolute ones with the row's unit: "<= 4.6 KiB".
std::string target_text(const Row& row);    // REQUIRES: row.target
std::string verdict_text(const Row& row);   // "met", "missed", "not measured", "no target"
std::string spread_text(const Cell& cell);  // "111-118"; REQUIRES: samples
struct Tally {
  size_t targets = 0, met = 0, missed = 0;
  size_t not_measured() const { return targets - met - missed; }
};
Tally tally_of(const Comparison& comparison);
std::string summary_text(const Comparison& comparison);  // "14 of 16 targets met, 1 missed, …"

// All servers of the comparison in the order that a reader expects: Latchkey, the floor, then the
// others as they come.
std::vector<std::string> servers_of(const Comparison& comparison);

}  // namespace latchkey::bench
