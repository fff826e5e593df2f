#pragma once
#include <cstddef>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "edge/upstream/endpoint.h"

namespace latchkey::edge {

// One server of a group, and what this worker knows of it.
struct Server {
  EndpointPtr endpoint;
  unsigned weight = 1;
  unsigned tier = 0;  // servers of a higher one stand in when none of a lower one is well

  size_t active = 0;  // requests under way
  double credit = 0;  // in round robin: who has the most is next
  // What requests have shown.
  unsigned failures = 0;  // in a row
  std::optional<TimePoint> failed_at{};
  unsigned ejections = 0;     // since the last success
  TimePoint ejected_until{};  // gets no requests before
  // What health checks have shown.
  bool down = false;
  unsigned contradictions = 0;  // checks in a row that say otherwise
  // When it came (back): it is warming up for Group::slow_start. Unset: it was there from the
  // beginning.
  std::optional<TimePoint> since{};

  bool well(TimePoint now) const { return !down && now >= ejected_until; }
};

using ServerPtr = std::shared_ptr<Server>;

}  // namespace latchkey::edge
