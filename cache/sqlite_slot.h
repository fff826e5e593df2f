#pragma once
// Which certificate serves a name, in SQL.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/server_name.h"
#include "cache/slot.h"
#include "cache/sqlite.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {

inline int64_t number(Slot slot) {
  return static_cast<int64_t>(slot);
}

inline Slot slot_of(int64_t number) {
  return number == 1 ? Slot::kRsa : Slot::kMain;
}

// To be put behind a SELECT with certificate_name AS n and certificate AS c: the row that serves
// the name. What is good goes before what is not, then exact before wildcard, then the newest. In
// Slot::kRsa any RSA key does, first the twin's own. bind_serving() binds for it.
inline constexpr std::string_view kServing =
    "WHERE n.name IN (?1, ?2) AND iif(?4 = 0, c.slot = 0, substr(c.key_type, 1, 3) = 'rsa') "
    "ORDER BY c.end_at > ?3 DESC, n.name = ?1 DESC, c.slot DESC, c.id DESC LIMIT 1";

inline void bind_serving(Query& query, const ServerName& name, WallTime now, Slot slot) {
  query.bind(name.text());
  const std::string_view parent = name.parent();
  if (parent.empty()) {
    query.bind_null();
  } else {
    query.bind("*." + std::string(parent));
  }
  query.bind(seconds(now)).bind(number(slot));
}

}  // namespace latchkey::sqlite
