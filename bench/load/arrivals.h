#pragma once
#include <cstdint>
#include <random>

#include "bench/load/engine.h"

namespace latchkey::bench {

// The moments at which an open loop begins operations, planned in advance: that one of them comes
// late changes nothing for the next, and latencies count from the plan.
class Arrivals {
 public:
  enum class Kind {
    kEven,     // one each 1/rate
    kPoisson,  // independent of one another, as many clients are; the same in each run
  };

  // `rate`: a second, > 0. `lane` of `lanes`: each has a share of the rate; even ones alternate.
  // `stream`: 0 or 1, for two beside each other that are not to come in step.
  Arrivals(double rate, Kind kind, Time begin, unsigned lane = 0, unsigned lanes = 1,
           unsigned stream = 0);

  Time due() const { return due_; }  // of the next one
  void advance();                    // it has begun

 private:
  const Kind kind_;
  const Time begin_;
  const double gap_;    // seconds between two, in the middle
  double at_;           // seconds after begin_: no error adds up, as it would by adding gaps in ns
  uint64_t count_ = 0;  // advanced over
  const double shift_;
  std::mt19937_64 random_;
  Time due_;
};

}  // namespace latchkey::bench
