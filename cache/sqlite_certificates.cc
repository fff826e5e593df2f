#include "cache/sqlite_certificates.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <vector>

namespace latchkey::sqlite {
namespace {

std::string sha256(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), hash.data());
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// Binds the sealed key to its row, and the leaf to the key: a changed leaf does not open either.
std::string seal_context(std::string_view name, std::string_view leaf) {
  std::string context = "certificate";
  context.append(1, '\0').append(name).append(1, '\0').append(sha256(leaf));
  return context;
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

int64_t seconds(WallTime time) {
  return time.time_since_epoch().count();
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
  auto der = box.open(row.sealed_key, seal_context(row.name, row.leaf));
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

Result<> delete_if_nameless(Connection& connection, int64_t id) {
  bool named = false;
  {
    Query query = connection.query("SELECT 1 FROM certificate_name WHERE id = ? LIMIT 1");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    named = *row;
  }
  return named ? Result<>(Unit{}) : delete_row(connection, id);
}

// Lets go of the name; `left` gets the rows that it led to.
Result<> release(Connection& connection, const std::string& name, std::vector<int64_t>& left) {
  auto held = holders(connection, name);
  if (!held) return std::move(held).error();
  for (const Holder& one : *held) left.push_back(one.id);
  Query query = connection.query("DELETE FROM certificate_name WHERE name = ?");
  return query.bind(name).run();
}

Result<int64_t> insert(Connection& connection, const SecretBox& box, const ServerName& name,
                       const Certificate& certificate, const std::string& issuer) {
  const std::vector<std::string> chain = certificate.chain_der();
  const auto chain_id = intern_chain(connection, pack(chain));
  if (!chain_id) return chain_id.error();
  const auto generation = next_generation(connection, name);
  if (!generation) return generation.error();

  std::string der = private_key_to_der(certificate.key());
  const std::string sealed = box.seal(der, seal_context(name.text(), chain[0]));
  wipe(der);
  const int64_t from = seconds(certificate.not_before());
  const int64_t to = seconds(certificate.not_after());
  Query query = connection.query(
      "INSERT INTO certificate (name, key_type, generation, issuer, not_before, not_after, "
      "renew_at, leaf, chain_id, sealed_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(name.text()).bind(key_type(certificate.key())).bind(*generation).bind(issuer);
  query.bind(from).bind(to).bind(from + (to - from) / 3 * 2);  // two thirds of its life
  query.bind_blob(chain[0]).bind(*chain_id).bind_blob(sealed);
  if (auto done = query.run(); !done) return std::move(done).error();
  return connection.last_row_id();
}

}  // namespace

Result<Found> find_certificate(Connection& connection, const SecretBox& box,
                               const ServerName& name) {
  Query query = connection.query(
      "SELECT c.id, c.name, c.leaf, ch.issuers, ch.hash, c.sealed_key "
      "FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "LEFT JOIN chain ch ON ch.id = c.chain_id WHERE n.name IN (?1, ?2) "
      "ORDER BY n.name = ?1 DESC, c.id DESC LIMIT 1");
  query.bind(name.text());
  const std::string_view parent = name.parent();
  if (parent.empty()) {
    query.bind_null();
  } else {
    query.bind("*." + std::string(parent));
  }
  auto row = query.next();
  if (!row) return std::move(row).error();
  if (!*row) return Found{};
  const auto text = [&](int column) { return std::string(query.text(column)); };
  const Row stored{text(1), text(2), text(3), text(4), text(5)};
  auto certificate = read(stored, box);
  if (certificate) return Found{*std::move(certificate), std::nullopt};
  if (certificate.error().code == ErrorCode::kNotFound) {
    // The row is good, only its key is not here: nothing is taken away that a backup can open.
    return Error{ErrorCode::kIo, "the certificate of " + stored.name + ": " +
                                     certificate.error().message +
                                     "; put that key back into the encryption key file"};
  }
  return Found{nullptr, BadRow{query.integer(0), stored.name, certificate.error().message}};
}

Result<> put_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                         const Certificate& certificate, const std::string& issuer) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  const auto id = insert(connection, box, name, certificate, issuer);
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

Result<size_t> count_certificates(Connection& connection) {
  Query query = connection.query("SELECT count(*) FROM certificate");
  auto row = query.next();
  if (!row) return std::move(row).error();
  return static_cast<size_t>(query.integer(0));
}

Result<> quarantine(Connection& connection, const BadRow& bad) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  {
    Query query = connection.query(
        "INSERT INTO quarantine (at, cause, name, leaf, issuers, sealed_key) "
        "SELECT CAST(strftime('%s', 'now') AS INTEGER), ?1, c.name, c.leaf, ch.issuers, "
        "c.sealed_key FROM certificate c LEFT JOIN chain ch ON ch.id = c.chain_id WHERE c.id = ?2");
    if (auto done = query.bind(bad.cause).bind(bad.id).run(); !done) return done;
  }
  if (auto done = delete_row(connection, bad.id); !done) return done;
  {
    Query query = connection.query(
        "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - 1000");
    if (auto done = query.run(); !done) return done;
  }
  return transaction.commit();
}

}  // namespace latchkey::sqlite
