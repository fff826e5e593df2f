// CA keys and the certificates that they signed.
#include "cache/sqlite_authority.h"

#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

Error cannot_open(const std::string& authority, int64_t id, const Error& cause) {
  const bool missing = cause.code == ErrorCode::kNotFound;
  return {missing ? ErrorCode::kIo : ErrorCode::kInvalid,
          "the stored CA key " + std::to_string(id) + " of the authority \"" + authority +
              "\" cannot be read: " + cause.message +
              (missing ? "; put that key back into the encryption key file"
                       : "; restore a backup of the database")};
}

// Of the columns authority, serial, signer, holder, not_before, not_after, revoked_at, reason.
IssuedCertificate read_issued(const Query& query) {
  IssuedCertificate found{.authority = std::string(query.text(0)),
                          .serial = std::string(query.text(1)),
                          .signer = query.integer(2),
                          .holder = std::string(query.text(3)),
                          .not_before = wall_time(query.integer(4)),
                          .not_after = wall_time(query.integer(5)),
                          .leaf = {},
                          .reason = static_cast<int>(query.integer(7))};
  if (!query.is_null(6)) found.revoked_at = wall_time(query.integer(6));
  return found;
}

}  // namespace

std::string authority_key_context(std::string_view authority, std::string_view certificate) {
  std::string context = "authority_key";
  context.append(1, '\0').append(authority).append(1, '\0').append(certificate);
  return context;
}

Result<std::vector<AuthorityKey>> load_authority_keys(Connection& connection, const SecretBox& box,
                                                      const std::string& authority) {
  Query query = connection.query(
      "SELECT id, root, parent, certificate, link, not_before, not_after, sealed_key "
      "FROM authority_key WHERE authority = ? ORDER BY id");
  query.bind(authority);
  std::vector<AuthorityKey> found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    auto key = box.open(query.text(7), authority_key_context(authority, query.text(3)));
    if (!key) return cannot_open(authority, query.integer(0), key.error());
    found.push_back({.authority = authority,
                     .id = query.integer(0),
                     .root = query.integer(1) != 0,
                     .parent = query.integer(2),
                     .certificate = std::string(query.text(3)),
                     .link = std::string(query.text(4)),
                     .not_before = wall_time(query.integer(5)),
                     .not_after = wall_time(query.integer(6)),
                     .key_der = *std::move(key)});
  }
}

Result<int64_t> put_authority_key(Connection& connection, const SecretBox& box,
                                  const AuthorityKey& key) {
  Query query = connection.query(
      "INSERT INTO authority_key (authority, root, parent, certificate, link, not_before, "
      "not_after, sealed_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(key.authority).bind(int64_t{key.root}).bind(key.parent);
  query.bind_blob(key.certificate).bind_blob(key.link);
  query.bind(seconds(key.not_before)).bind(seconds(key.not_after));
  query.bind_blob(box.seal(key.key_der, authority_key_context(key.authority, key.certificate)));
  if (auto done = query.run(); !done) return std::move(done).error();
  return connection.last_row_id();
}

Result<> put_issued(Connection& connection, const IssuedCertificate& certificate,
                    const std::optional<AcmeOrderRow>& order) {
  {
    Query query = connection.query(
        "INSERT INTO issued_certificate (authority, serial, signer, holder, not_before, "
        "not_after, leaf, revoked_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (authority, serial) DO NOTHING");
    query.bind(certificate.authority).bind(certificate.serial).bind(certificate.signer);
    query.bind(certificate.holder).bind(seconds(certificate.not_before));
    query.bind(seconds(certificate.not_after)).bind_blob(certificate.leaf);
    bind_time_or_null(query, certificate.revoked_at.value_or(WallTime::max()));
    query.bind(int64_t{certificate.reason});
    if (auto done = query.run(); !done) return done;
  }
  if (connection.changes() == 0) {
    return Error{ErrorCode::kInvalid, "the authority \"" + certificate.authority +
                                          "\" has issued a certificate with the serial " +
                                          certificate.serial + " before"};
  }
  if (order) return put_acme_order(connection, *order);
  return Unit{};
}

Result<std::optional<IssuedCertificate>> find_issued(Connection& connection,
                                                     const std::string& authority,
                                                     const std::string& serial) {
  Query query = connection.query(
      "SELECT authority, serial, signer, holder, not_before, not_after, revoked_at, reason, leaf "
      "FROM issued_certificate WHERE authority = ? AND serial = ?");
  const auto row = query.bind(authority).bind(serial).next();
  if (!row) return row.error();
  std::optional<IssuedCertificate> found;
  if (!*row) return found;
  found = read_issued(query);
  found->leaf = query.text(8);
  return found;
}

Result<bool> revoke_issued(Connection& connection, const std::string& authority,
                           const std::string& serial, WallTime at, int reason) {
  Query query = connection.query(
      "UPDATE issued_certificate SET revoked_at = ?, reason = ? "
      "WHERE authority = ? AND serial = ? AND revoked_at IS NULL");
  query.bind(seconds(at)).bind(int64_t{reason}).bind(authority).bind(serial);
  if (auto done = query.run(); !done) return std::move(done).error();
  return connection.changes() == 1;
}

Result<std::vector<IssuedCertificate>> list_revoked(Connection& connection,
                                                    const std::string& authority, int64_t signer,
                                                    WallTime now) {
  Query query = connection.query(
      "SELECT authority, serial, signer, holder, not_before, not_after, revoked_at, reason "
      "FROM issued_certificate WHERE authority = ? AND signer = ? AND revoked_at IS NOT NULL "
      "AND +not_after >= ? ORDER BY serial");  // "+": not by the index of that
  query.bind(authority).bind(signer).bind(seconds(now));
  std::vector<IssuedCertificate> found;
  for (;;) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) return found;
    found.push_back(read_issued(query));
  }
}

Result<bool> sweep_authority(Connection& connection, const std::string& authority, WallTime now,
                             WallTime certificates_before) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  bool more = false;
  {
    Query query = connection.query(
        "DELETE FROM acme_order WHERE rowid IN (SELECT rowid FROM acme_order "
        "WHERE authority = ? AND expires < ? ORDER BY expires LIMIT ?)");
    query.bind(authority).bind(seconds(now)).bind(kSweepAuthorityRows);
    if (auto done = query.run(); !done) return std::move(done).error();
    more = connection.changes() == kSweepAuthorityRows;
  }
  {
    Query query = connection.query(
        "DELETE FROM issued_certificate WHERE rowid IN (SELECT rowid FROM issued_certificate "
        "WHERE authority = ? AND not_after < ? ORDER BY not_after LIMIT ?)");
    query.bind(authority).bind(seconds(certificates_before)).bind(kSweepAuthorityRows);
    if (auto done = query.run(); !done) return std::move(done).error();
    more = more || connection.changes() == kSweepAuthorityRows;
  }
  {
    Query query =
        connection.query("DELETE FROM authority_key WHERE authority = ? AND not_after < ?");
    query.bind(authority).bind(seconds(certificates_before));
    if (auto done = query.run(); !done) return std::move(done).error();
  }
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return !more;
}

}  // namespace latchkey::sqlite
