#pragma once
#include "base/metrics.h"

namespace latchkey::acme {

// What one issuer did so far; any thread may read.
struct AcmeCounts {
  Counter orders;  // new-order requests that the CA accepted
  Counter requests, bad_nonces, failures;
  Counter throttled;  // answers that told us to stay away
};

}  // namespace latchkey::acme
