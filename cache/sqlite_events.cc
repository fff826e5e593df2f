#include "cache/sqlite_events.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/json.h"
#include "cache/sqlite_names.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

constexpr size_t kMaxFound = 10'000;

// Programs put it into their own JSON as it is.
bool is_object(std::string_view text) {
  const auto json = parse_json(text);
  return json && json->is(JsonValue::Kind::kObject);
}

Result<> insert(Connection& connection, const Event& event) {
  Query query = connection.query(
      "INSERT INTO event (at, kind, name, issuer, text, details, keep_until) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)");
  query.bind(seconds(event.at)).bind(event.kind).bind(event.name).bind(event.issuer);
  query.bind(cut(event.text, kMaxEventText));
  query.bind(event.details.size() <= kMaxEventDetails ? event.details : std::string());
  return query.bind(seconds(event.keep_until)).run();
}

Result<> trim(Connection& connection, const std::string& name) {
  Query query = connection.query(
      "DELETE FROM event WHERE name = ?1 AND id <= "
      "(SELECT id FROM event WHERE name = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)");
  return query.bind(name).bind(name.empty() ? kEventsWithoutName : kEventsOfAName).run();
}

Result<std::vector<Event>> read_events(Query& query) {
  std::vector<Event> found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    const auto text = [&](int column) { return std::string(query.text(column)); };
    Event event{.at = wall_time(query.integer(0)),
                .kind = text(1),
                .name = text(2),
                .issuer = text(3),
                .text = text(4),
                .details = text(5),
                .keep_until = wall_time(query.integer(6))};
    if (!event.details.empty() && !is_object(event.details)) event.details.clear();
    found.push_back(std::move(event));
  }
}

}  // namespace

Result<> put_events(Connection& connection, const std::vector<Event>& events) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  std::set<std::string> names;
  for (const Event& event : events) {
    if (auto done = insert(connection, event); !done) return done;
    names.insert(event.name);
  }
  for (const std::string& name : names) {
    if (auto done = trim(connection, name); !done) return done;
  }
  return transaction.commit();
}

Result<std::vector<Event>> find_events(Connection& connection, const std::string& name,
                                       size_t limit) {
  const auto count = static_cast<int64_t>(std::min(limit, kMaxFound));
  if (name.empty()) {
    Query query = connection.query(
        "SELECT at, kind, name, issuer, text, details, keep_until FROM event "
        "ORDER BY id DESC LIMIT ?");
    query.bind(count);
    return read_events(query);
  }
  Query query = connection.query(
      "SELECT at, kind, name, issuer, text, details, keep_until FROM event WHERE name = ? "
      "ORDER BY id DESC LIMIT ?");
  query.bind(name).bind(count);
  return read_events(query);
}

}  // namespace latchkey::sqlite
