#pragma once
#include "base/metrics.h"

namespace latchkey::edge {

// What the fronts of all workers count.
struct FrontCounts {
  Counter requests;
  Counter access_log_dropped;  // lines
  Counter rate_limited;        // requests: 429
  Counter compressed;          // responses
  Counter compression_busy;    // ... that were not, as max_at_once others were being compressed
};

}  // namespace latchkey::edge
