#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "bench/load/engine.h"

namespace latchkey::bench {

// Shows how far a run is: one line that is rewritten on a terminal, a line a second elsewhere.
class Progress {
 public:
  struct State {
    std::string_view phase;  // "warm-up", "measuring"
    double share = 0;        // of all, 0 to 1; < 0: not known
    double elapsed = 0;      // seconds
    uint64_t done = 0, failed = 0;
    std::string_view main_failure{};
  };

  // `out`: null for quiet.
  Progress(std::FILE* out, bool terminal, std::string title);
  ~Progress();  // leaves the terminal's line empty
  Progress(const Progress&) = delete;

  void show(const State& state, Time now);

  // The line without its end, `width` columns at most.
  static std::string line(std::string_view title, const State& state, double rate, size_t width);

 private:
  std::FILE* const out_;
  const bool terminal_;
  const std::string title_;
  Time shown_{}, rate_from_{};
  uint64_t rate_done_ = 0;
  double rate_ = 0;
  bool on_line_ = false;
};

}  // namespace latchkey::bench
