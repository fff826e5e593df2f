#include "cache/sqlite_certificates.h"

#include <algorithm>
#include <chrono>

#include "cache/sqlite_certificate_rows.h"
#include "cache/sqlite_orders.h"
#include "cache/sqlite_slot.h"
#include "cache/sqlite_staples.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

struct Row {
  std::string name;
  std::string leaf;
  std::string issuers;
  std::string issuers_hash;
  std::string sealed_key;
};

Result<CertificatePtr> read(const Row& row, const SecretBox& box) {
  if (sha256(row.issuers) != row.issuers_hash) {
    return Error{ErrorCode::kInvalid, "the issuers were altered"};
  }
  std::vector<std::string> chain{row.leaf};
  if (!unpack(row.issuers, chain)) {
    return Error{ErrorCode::kInvalid, "the issuers cannot be read"};
  }
  auto der = box.open(row.sealed_key, certificate_context(row.name, row.leaf));
  if (!der) return std::move(der).error().in("the private key");
  auto key = private_key_from_der(*der);
  wipe(*der);
  if (!key) return std::move(key).error();
  return Certificate::from_der(chain, *std::move(key));
}

}  // namespace

Result<Found> find_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                               Slot slot) {
  static const std::string sql = "SELECT " + info_columns() +
                                 ", c.name, c.leaf, ch.issuers, ch.hash, c.sealed_key "
                                 "FROM certificate_name n JOIN certificate c ON c.id = n.id "
                                 "LEFT JOIN chain ch ON ch.id = c.chain_id " +
                                 std::string(kServing);
  Query query = connection.query(sql);
  const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  bind_serving(query, name, now, slot);
  auto row = query.next();
  if (!row) return std::move(row).error();
  if (!*row) return Found{};
  const auto text = [&](int column) { return std::string(query.text(kInfoColumns + column)); };
  const Row stored{text(0), text(1), text(2), text(3), text(4)};
  auto certificate = read(stored, box);
  auto info = read_info(query);
  if (certificate && info) {
    auto stapled = attach_staple(connection, *std::move(certificate), now);
    if (!stapled) return std::move(stapled).error();
    return Found{*std::move(stapled), *std::move(info), {}};
  }
  Error why = certificate ? std::move(info).error() : std::move(certificate).error();
  if (why.code == ErrorCode::kNotFound) {
    // The row is good, only its key is not here: nothing is taken away that a backup can open.
    return Error{ErrorCode::kIo, "the certificate of " + stored.name + ": " + why.message +
                                     "; put that key back into the encryption key file"};
  }
  return Found{{}, {}, BadRow{query.integer(0), stored.name, std::move(why).message}};
}

Result<> put_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                         const Certificate& certificate, const CertificateOrigin& origin) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  const auto id = insert(connection, box, name, certificate, origin);
  if (!id) return id.error();

  std::vector<std::string> names = certificate.names();
  names.push_back(name.text());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<int64_t> left;
  for (const std::string& one : names) {
    if (one != name.text()) {
      const auto held = holders(connection, one, origin.slot);
      if (!held) return held.error();
      if (std::any_of(held->begin(), held->end(), [&](const Holder& holder) {
            return holder.not_before > seconds(certificate.not_before());
          })) {
        continue;
      }
    }
    if (auto done = release(connection, one, origin.slot, left); !done) return done;
    if (auto done = lead(connection, one, *id); !done) return done;
  }
  for (const int64_t old : left) {
    if (auto done = delete_if_nameless(connection, old); !done) return done;
  }
  if (auto done = expect_staple(connection, name, origin.slot, certificate); !done) return done;
  if (auto done = delete_order(connection, name, origin.slot); !done) return done;
  return transaction.commit();
}

Result<> delete_certificate(Connection& connection, const ServerName& name) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto done = release_certificate(connection, name); !done) return done;
  return transaction.commit();
}

Result<> release_certificate(Connection& connection, const ServerName& name) {
  std::vector<int64_t> left;
  for (const Slot slot : {Slot::kMain, Slot::kRsa}) {
    if (auto done = release(connection, name.text(), slot, left); !done) return done;
  }
  for (const int64_t old : left) {
    if (auto done = delete_if_nameless(connection, old); !done) return done;
  }
  return Unit{};
}

Result<std::vector<std::string>> delete_certificate_row(Connection& connection, int64_t id) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  std::vector<std::string> names;
  if (auto done = release_row(connection, id, names); !done) return std::move(done).error();
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return names;
}

Result<> release_row(Connection& connection, int64_t id, std::vector<std::string>& names) {
  {
    Query query = connection.query("SELECT name FROM certificate_name WHERE id = ?");
    query.bind(id);
    for (;;) {
      auto row = query.next();
      if (!row) return std::move(row).error();
      if (!*row) break;
      names.emplace_back(query.text(0));
    }
  }
  return delete_row(connection, id);
}

Result<size_t> count_certificates(Connection& connection) {
  Query query = connection.query("SELECT count(*) FROM certificate");
  auto row = query.next();
  if (!row) return std::move(row).error();
  return static_cast<size_t>(query.integer(0));
}

Result<bool> quarantine(Connection& connection, const BadRow& bad) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  {
    Query query = connection.query(
        "INSERT INTO quarantine (at, cause, name, leaf, issuers, sealed_key) "
        "SELECT CAST(strftime('%s', 'now') AS INTEGER), ?1, c.name, c.leaf, ch.issuers, "
        "c.sealed_key FROM certificate c LEFT JOIN chain ch ON ch.id = c.chain_id WHERE c.id = ?2");
    if (auto done = query.bind(bad.cause).bind(bad.id).run(); !done) return std::move(done).error();
    if (connection.changes() == 0) return false;
  }
  if (auto done = delete_row(connection, bad.id); !done) return std::move(done).error();
  if (auto done = trim_quarantine(connection); !done) return std::move(done).error();
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return true;
}

Result<> trim_quarantine(Connection& connection) {
  Query query = connection.query(
      "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - 1000");
  return query.run();
}

}  // namespace latchkey::sqlite
