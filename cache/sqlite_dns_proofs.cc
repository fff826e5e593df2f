#include "cache/sqlite_dns_proofs.h"

#include <string>

#include "cache/sqlite_time.h"

namespace latchkey::sqlite {

Result<int64_t> put_dns_proof(Connection& connection, const DnsProof& proof) {
  Query query = connection.query(
      "INSERT INTO dns_proof (domain, value, identifier, made) VALUES (?, ?, ?, ?)");
  query.bind(proof.domain).bind(proof.value).bind(proof.identifier).bind(seconds(proof.made));
  if (auto done = query.run(); !done) return std::move(done).error();
  return connection.last_row_id();
}

Result<> delete_dns_proof(Connection& connection, int64_t id) {
  Query query = connection.query("DELETE FROM dns_proof WHERE id = ?");
  return query.bind(id).run();
}

Result<std::vector<DnsProof>> load_dns_proofs(Connection& connection, size_t limit) {
  Query query = connection.query(
      "SELECT id, domain, value, identifier, made FROM dns_proof ORDER BY id LIMIT ?");
  query.bind(static_cast<int64_t>(limit));
  std::vector<DnsProof> found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    found.push_back({.id = query.integer(0),
                     .domain = std::string(query.text(1)),
                     .value = std::string(query.text(2)),
                     .identifier = std::string(query.text(3)),
                     .made = wall_time(query.integer(4))});
  }
}

}  // namespace latchkey::sqlite
