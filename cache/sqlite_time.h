#pragma once
// Times as the tables have them: seconds since 1970, NULL (or the largest number) for never.

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/clock.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

inline int64_t seconds(WallTime time) {
  return time.time_since_epoch().count();
}

// A damaged row may say anything: what comes of it is a time to reckon with, up to the year 9999.
inline WallTime wall_time(int64_t seconds) {
  if (seconds == std::numeric_limits<int64_t>::max()) return WallTime::max();
  return WallTime(WallTime::duration(std::clamp<int64_t>(seconds, 0, 253'402'300'799)));
}

inline Query& bind_time_or_null(Query& query, WallTime time) {
  return time == WallTime::max() ? query.bind_null() : query.bind(seconds(time));
}

inline WallTime time_or_never(const Query& query, int column) {
  return query.is_null(column) ? WallTime::max() : wall_time(query.integer(column));
}

}  // namespace latchkey::sqlite
