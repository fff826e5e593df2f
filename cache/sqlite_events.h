#pragma once
// The table of events: what the store does, on one connection, on the calling thread.

#include <string>
#include <vector>

#include "base/result.h"
#include "cache/event.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

constexpr int64_t kEventsOfAName = 100;
constexpr int64_t kEventsWithoutName = 10'000;
constexpr size_t kMaxEventText = 2048;     // bytes; what is longer is cut
constexpr size_t kMaxEventDetails = 4096;  // bytes; what is longer is left out

// One transaction; the oldest beyond those numbers go.
Result<> put_events(Connection& connection, const std::vector<Event>& events);
// The newest first; "" for all. At most 10 000.
Result<std::vector<Event>> find_events(Connection& connection, const std::string& name,
                                       size_t limit);

}  // namespace latchkey::sqlite
