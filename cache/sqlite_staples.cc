#include "cache/sqlite_staples.h"

#include <chrono>
#include <memory>

#include "cache/sqlite_slot.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

// Columns: leaf, name, slot, der, this_update, next_update, look_at, end_at.
StapleRecord read_record(const Query& query) {
  StapleRecord record;
  record.leaf = query.text(0);
  record.name = query.text(1);
  record.slot = static_cast<uint8_t>(slot_of(query.integer(2)));
  if (!query.is_null(3)) {
    record.staple =
        std::make_shared<const Staple>(Staple{.der = std::string(query.text(3)),
                                              .this_update = wall_time(query.integer(4)),
                                              .next_update = wall_time(query.integer(5))});
  }
  record.look_at = time_or_never(query, 6);
  record.end = wall_time(query.integer(7));
  return record;
}

void bind_staple(Query& query, const StaplePtr& staple) {
  if (staple == nullptr) {
    query.bind_null().bind_null().bind_null();
  } else {
    query.bind_blob(staple->der);
    query.bind(seconds(staple->this_update)).bind(seconds(staple->next_update));
  }
}

}  // namespace

Result<> put_staple(Connection& connection, const StapleRecord& record) {
  Query query = connection.query(
      "INSERT OR REPLACE INTO staple (leaf, name, slot, der, this_update, next_update, look_at, "
      "end_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind_blob(record.leaf).bind(record.name).bind(int64_t{record.slot});
  bind_staple(query, record.staple);
  return bind_time_or_null(query, record.look_at).bind(seconds(record.end)).run();
}

Result<> delete_staple(Connection& connection, const std::string& leaf) {
  Query query = connection.query("DELETE FROM staple WHERE leaf = ?");
  return query.bind_blob(leaf).run();
}

Result<std::optional<StapleRecord>> find_staple(Connection& connection, const std::string& leaf) {
  Query query = connection.query(
      "SELECT leaf, name, slot, der, this_update, next_update, look_at, end_at FROM staple "
      "WHERE leaf = ?");
  const auto row = query.bind_blob(leaf).next();
  if (!row) return row.error();
  return *row ? std::optional(read_record(query)) : std::nullopt;
}

Result<DueStaples> find_due_staples(Connection& connection, WallTime now, size_t limit) {
  Query query = connection.query(
      "SELECT leaf, name, slot, der, this_update, next_update, look_at, end_at FROM staple "
      "WHERE look_at IS NOT NULL ORDER BY look_at, leaf LIMIT ?");
  query.bind(static_cast<int64_t>(limit) + 1);
  DueStaples found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    const WallTime look_at = time_or_never(query, 6);
    if (look_at > now || found.due.size() == limit) {
      found.next = look_at;
      return found;
    }
    found.due.push_back(read_record(query));
  }
}

Result<> hasten_staples(Connection& connection, WallTime late, WallTime at) {
  Query query = connection.query("UPDATE staple SET look_at = ? WHERE look_at > ?");
  return query.bind(seconds(at)).bind(seconds(late)).run();
}

Result<> expect_staple(Connection& connection, const ServerName& name, Slot slot,
                       const Certificate& certificate) {
  if (certificate.ocsp_responder().empty()) return Unit{};
  Query query = connection.query(
      "INSERT INTO staple (leaf, name, slot, der, this_update, next_update, look_at, end_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (leaf) DO UPDATE SET name = excluded.name, "
      "slot = excluded.slot, der = coalesce(excluded.der, der), "
      "this_update = coalesce(excluded.this_update, this_update), "
      "next_update = coalesce(excluded.next_update, next_update), look_at = excluded.look_at");
  query.bind_blob(certificate.leaf_hash()).bind(name.text()).bind(number(slot));
  bind_staple(query, certificate.staple());
  query.bind(seconds(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())));
  return query.bind(seconds(certificate.not_after())).run();
}

Result<CertificatePtr> attach_staple(Connection& connection, CertificatePtr certificate,
                                     WallTime now) {
  if (certificate->ocsp_responder().empty()) return certificate;
  auto record = find_staple(connection, certificate->leaf_hash());
  if (!record) return std::move(record).error();
  const bool good = *record && (*record)->staple != nullptr && (*record)->staple->good_at(now);
  return good ? certificate->with_staple((*record)->staple) : certificate;
}

}  // namespace latchkey::sqlite
