#include "cache/sqlite_certificates.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cache/sqlite_orders.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

std::string sha256(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), hash.data());
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::string pack(const std::vector<std::string>& chain) {
  std::string packed;
  for (size_t i = 1; i < chain.size(); ++i) {
    const size_t length = chain[i].size();
    for (const int shift : {24, 16, 8, 0}) packed += static_cast<char>(length >> shift & 0xff);
    packed += chain[i];
  }
  return packed;
}

// False if the lengths do not fit.
bool unpack(std::string_view packed, std::vector<std::string>& chain) {
  while (!packed.empty()) {
    if (packed.size() < 4) return false;
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(packed[i]);
    packed.remove_prefix(4);
    if (length > packed.size()) return false;
    chain.emplace_back(packed.substr(0, length));
    packed.remove_prefix(length);
  }
  return true;
}

std::string key_type(const PrivateKey& key) {
  const std::string bits = std::to_string(EVP_PKEY_bits(key.get()));
  switch (EVP_PKEY_id(key.get())) {
    case EVP_PKEY_EC:
      return "p" + bits;
    case EVP_PKEY_RSA:
      return "rsa" + bits;
    default:
      return "ed25519";
  }
}

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

Result<int64_t> intern_chain(Connection& connection, const std::string& issuers) {
  const std::string hash = sha256(issuers);
  {
    Query query = connection.query("SELECT id FROM chain WHERE hash = ?");
    auto row = query.bind_blob(hash).next();
    if (!row) return std::move(row).error();
    if (*row) return query.integer(0);
  }
  Query insert = connection.query("INSERT INTO chain (hash, issuers) VALUES (?, ?)");
  if (auto done = insert.bind_blob(hash).bind_blob(issuers).run(); !done) {
    return std::move(done).error();
  }
  return connection.last_row_id();
}

Result<int64_t> next_generation(Connection& connection, const ServerName& name) {
  Query query = connection.query(
      "SELECT coalesce(max(c.generation), 0) + 1 FROM certificate_name n "
      "JOIN certificate c ON c.id = n.id WHERE n.name = ?");
  auto row = query.bind(name.text()).next();
  if (!row) return std::move(row).error();
  return query.integer(0);
}

struct Holder {
  int64_t id = 0;
  int64_t not_before = 0;
};

Result<std::vector<Holder>> holders(Connection& connection, const std::string& name) {
  Query query = connection.query(
      "SELECT c.id, c.not_before FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "WHERE n.name = ?");
  query.bind(name);
  std::vector<Holder> found;
  for (;;) {
    auto row = query.next();
    if (!row) return std::move(row).error();
    if (!*row) return found;
    found.push_back({query.integer(0), query.integer(1)});
  }
}

// Deletes the certificate and, if it was the last of it, its chain.
Result<> delete_row(Connection& connection, int64_t id) {
  int64_t chain = 0;
  {
    Query query = connection.query("SELECT chain_id FROM certificate WHERE id = ?");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    if (!*row) return Unit{};
    chain = query.integer(0);
  }
  {
    Query query = connection.query("DELETE FROM certificate WHERE id = ?");
    if (auto done = query.bind(id).run(); !done) return done;
  }
  Query query = connection.query(
      "DELETE FROM chain WHERE id = ?1 "
      "AND NOT EXISTS (SELECT 1 FROM certificate WHERE chain_id = ?1)");
  return query.bind(chain).run();
}

// What only wildcards lead to stays, and is not renewed: nobody knows for which name.
Result<> delete_if_nameless(Connection& connection, int64_t id) {
  bool named = false;
  bool exactly = false;
  {
    Query query = connection.query(
        "SELECT count(*), coalesce(sum(substr(name, 1, 2) <> '*.'), 0) FROM certificate_name "
        "WHERE id = ?");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    named = query.integer(0) > 0;
    exactly = query.integer(1) > 0;
  }
  if (!named) return delete_row(connection, id);
  if (exactly) return Unit{};
  Query query = connection.query("UPDATE certificate SET look_at = NULL WHERE id = ?");
  return query.bind(id).run();
}

// Lets go of the name; `left` gets the rows that it led to.
Result<> release(Connection& connection, const std::string& name, std::vector<int64_t>& left) {
  auto held = holders(connection, name);
  if (!held) return std::move(held).error();
  for (const Holder& one : *held) left.push_back(one.id);
  Query query = connection.query("DELETE FROM certificate_name WHERE name = ?");
  return query.bind(name).run();
}

// Of the certificates that the name leads to; nullopt: there is none.
Result<std::optional<int64_t>> last_used(Connection& connection, const ServerName& name) {
  Query query = connection.query(
      "SELECT max(c.last_used) FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "WHERE n.name = ?");
  auto row = query.bind(name.text()).next();
  if (!row) return std::move(row).error();
  return query.is_null(0) ? std::optional<int64_t>() : query.integer(0);
}

Result<int64_t> insert(Connection& connection, const SecretBox& box, const ServerName& name,
                       const Certificate& certificate, const CertificateOrigin& origin) {
  const std::vector<std::string> chain = certificate.chain_der();
  const auto chain_id = intern_chain(connection, pack(chain));
  if (!chain_id) return chain_id.error();
  const auto generation = next_generation(connection, name);
  if (!generation) return generation.error();
  const auto used_before = last_used(connection, name);
  if (!used_before) return used_before.error();

  std::string der = private_key_to_der(certificate.key());
  const std::string sealed = box.seal(der, certificate_context(name.text(), chain[0]));
  wipe(der);
  const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const WallTime end = certificate.chain_not_after();
  Query query = connection.query(
      "INSERT INTO certificate (name, key_type, generation, issuer, account, not_before, "
      "not_after, end_at, serial, last_used, leaf, chain_id, sealed_key, renew_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)");
  query.bind(name.text()).bind(key_type(certificate.key())).bind(*generation);
  query.bind(origin.issuer).bind(origin.account);
  query.bind(seconds(certificate.not_before())).bind(seconds(certificate.not_after()));
  query.bind(seconds(end)).bind(certificate.serial());
  query.bind(origin.visited ? seconds(now) : used_before->value_or(seconds(now)));
  query.bind_blob(chain[0]).bind(*chain_id).bind_blob(sealed);
  if (auto done = query.run(); !done) return std::move(done).error();
  const int64_t id = connection.last_row_id();
  const auto planned =
      put_plan(connection, id, origin.plan.value_or(plan_by_life(certificate.not_before(), end)));
  if (!planned) return planned.error();
  return id;
}

}  // namespace

// The leaf too: with another one the key does not open.
std::string certificate_context(std::string_view name, std::string_view leaf) {
  std::string context = "certificate";
  context.append(1, '\0').append(name).append(1, '\0').append(sha256(leaf));
  return context;
}

Result<Found> find_certificate(Connection& connection, const SecretBox& box,
                               const ServerName& name) {
  static const std::string sql =
      "SELECT " + info_columns() +
      ", c.name, c.leaf, ch.issuers, ch.hash, c.sealed_key "
      "FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "LEFT JOIN chain ch ON ch.id = c.chain_id WHERE n.name IN (?1, ?2) "
      "ORDER BY c.end_at > ?3 DESC, n.name = ?1 DESC, c.id DESC LIMIT 1";
  Query query = connection.query(sql);
  query.bind(name.text());
  const std::string_view parent = name.parent();
  if (parent.empty()) {
    query.bind_null();
  } else {
    query.bind("*." + std::string(parent));
  }
  query.bind(seconds(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())));
  auto row = query.next();
  if (!row) return std::move(row).error();
  if (!*row) return Found{};
  const auto text = [&](int column) { return std::string(query.text(kInfoColumns + column)); };
  const Row stored{text(0), text(1), text(2), text(3), text(4)};
  auto certificate = read(stored, box);
  auto info = read_info(query);
  if (certificate && info) return Found{*std::move(certificate), *std::move(info), {}};
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
      const auto held = holders(connection, one);
      if (!held) return held.error();
      if (std::any_of(held->begin(), held->end(), [&](const Holder& holder) {
            return holder.not_before > seconds(certificate.not_before());
          })) {
        continue;
      }
    }
    if (auto done = release(connection, one, left); !done) return done;
    Query query = connection.query("INSERT INTO certificate_name (name, id) VALUES (?, ?)");
    if (auto done = query.bind(one).bind(*id).run(); !done) return done;
  }
  for (const int64_t old : left) {
    if (auto done = delete_if_nameless(connection, old); !done) return done;
  }
  if (auto done = delete_order(connection, name); !done) return done;
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
  if (auto done = release(connection, name.text(), left); !done) return done;
  for (const int64_t old : left) {
    if (auto done = delete_if_nameless(connection, old); !done) return done;
  }
  return Unit{};
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
