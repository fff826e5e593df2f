#include "cache/sqlite_certificate_rows.h"

#include <openssl/sha.h>

#include <array>
#include <optional>

#include "cache/sqlite_renewals.h"
#include "cache/sqlite_slot.h"
#include "cache/sqlite_staples.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

std::string pack(const std::vector<std::string>& chain) {
  std::string packed;
  for (size_t i = 1; i < chain.size(); ++i) {
    const size_t length = chain[i].size();
    for (const int shift : {24, 16, 8, 0}) packed += static_cast<char>(length >> shift & 0xff);
    packed += chain[i];
  }
  return packed;
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

Result<int64_t> next_generation(Connection& connection, const ServerName& name, Slot slot) {
  Query query = connection.query(
      "SELECT coalesce(max(c.generation), 0) + 1 FROM certificate_name n "
      "JOIN certificate c ON c.id = n.id WHERE n.name = ? AND c.slot = ?");
  auto row = query.bind(name.text()).bind(number(slot)).next();
  if (!row) return std::move(row).error();
  return query.integer(0);
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), hash.data());
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

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

// The leaf too: with another one the key does not open.
std::string certificate_context(std::string_view name, std::string_view leaf) {
  std::string context = "certificate";
  context.append(1, '\0').append(name).append(1, '\0').append(sha256(leaf));
  return context;
}

Result<std::vector<Holder>> holders(Connection& connection, const std::string& name, Slot slot) {
  Query query = connection.query(
      "SELECT c.id, c.not_before, c.end_at FROM certificate_name n "
      "JOIN certificate c ON c.id = n.id WHERE n.name = ? AND c.slot = ?");
  query.bind(name).bind(number(slot));
  std::vector<Holder> found;
  for (;;) {
    auto row = query.next();
    if (!row) return std::move(row).error();
    if (!*row) return found;
    found.push_back({query.integer(0), query.integer(1), query.integer(2)});
  }
}

Result<> delete_row(Connection& connection, int64_t id) {
  int64_t chain = 0;
  std::string leaf;
  {
    Query query = connection.query("SELECT chain_id, leaf FROM certificate WHERE id = ?");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    if (!*row) return Unit{};
    chain = query.integer(0);
    leaf = sha256(query.text(1));
  }
  if (auto done = delete_staple(connection, leaf); !done) return done;
  {
    Query query = connection.query("DELETE FROM certificate WHERE id = ?");
    if (auto done = query.bind(id).run(); !done) return done;
  }
  Query query = connection.query(
      "DELETE FROM chain WHERE id = ?1 "
      "AND NOT EXISTS (SELECT 1 FROM certificate WHERE chain_id = ?1)");
  return query.bind(chain).run();
}

Result<> name_staple(Connection& connection, int64_t id) {
  std::string leaf;
  {
    Query query = connection.query("SELECT leaf FROM certificate WHERE id = ?");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    if (!*row) return Unit{};
    leaf = sha256(query.text(0));
  }
  Query query = connection.query(
      "UPDATE staple SET name = (SELECT min(name) FROM certificate_name WHERE id = ?1) "
      "WHERE leaf = ?2 AND slot = (SELECT slot FROM certificate WHERE id = ?1) "
      "AND EXISTS (SELECT 1 FROM certificate_name WHERE id = ?1) "
      "AND NOT EXISTS (SELECT 1 FROM certificate_name n WHERE n.id = ?1 AND n.name = staple.name)");
  return query.bind(id).bind_blob(leaf).run();
}

Result<> delete_if_nameless(Connection& connection, int64_t id) {
  bool named = false;
  bool renewed = false;
  {
    Query query = connection.query(
        "SELECT count(n.name), coalesce(sum(substr(n.name, 1, 2) <> '*.'), 0) > 0 "
        "OR substr(c.name, 1, 2) = '*.' "
        "FROM certificate c LEFT JOIN certificate_name n ON n.id = c.id WHERE c.id = ?");
    auto row = query.bind(id).next();
    if (!row) return std::move(row).error();
    named = query.integer(0) > 0;
    renewed = query.integer(1) > 0;
  }
  if (!named) return delete_row(connection, id);
  if (auto done = name_staple(connection, id); !done) return done;
  if (renewed) return Unit{};
  Query query = connection.query("UPDATE certificate SET look_at = NULL WHERE id = ?");
  return query.bind(id).run();
}

Result<> release(Connection& connection, const std::string& name, Slot slot,
                 std::vector<int64_t>& left) {
  auto held = holders(connection, name, slot);
  if (!held) return std::move(held).error();
  for (const Holder& one : *held) {
    left.push_back(one.id);
    Query query = connection.query("DELETE FROM certificate_name WHERE name = ? AND id = ?");
    if (auto done = query.bind(name).bind(one.id).run(); !done) return done;
  }
  return Unit{};
}

Result<> lead(Connection& connection, const std::string& name, int64_t id) {
  Query query = connection.query("INSERT INTO certificate_name (name, id) VALUES (?, ?)");
  return query.bind(name).bind(id).run();
}

namespace {

// Of the certificates that the name leads to; nullopt: there is none.
Result<std::optional<int64_t>> last_used(Connection& connection, const ServerName& name,
                                         Slot slot) {
  Query query = connection.query(
      "SELECT max(c.last_used) FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "WHERE n.name = ? AND c.slot = ?");
  auto row = query.bind(name.text()).bind(number(slot)).next();
  if (!row) return std::move(row).error();
  return query.is_null(0) ? std::optional<int64_t>() : query.integer(0);
}

}  // namespace

Result<int64_t> insert(Connection& connection, const SecretBox& box, const ServerName& name,
                       const Certificate& certificate, const CertificateOrigin& origin) {
  if (origin.slot == Slot::kRsa && !certificate.is_rsa()) {
    return Error{ErrorCode::kInvalid,
                 "the certificate of " + name.text() + " for clients without ECDSA has no RSA key"};
  }
  const std::vector<std::string> chain = certificate.chain_der();
  const auto chain_id = intern_chain(connection, pack(chain));
  if (!chain_id) return chain_id.error();
  const auto generation = next_generation(connection, name, origin.slot);
  if (!generation) return generation.error();
  const auto used_before = last_used(connection, name, origin.slot);
  if (!used_before) return used_before.error();

  std::string der = private_key_to_der(certificate.key());
  const std::string sealed = box.seal(der, certificate_context(name.text(), chain[0]));
  wipe(der);
  const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const WallTime end = certificate.chain_not_after();
  Query query = connection.query(
      "INSERT INTO certificate (name, key_type, generation, issuer, account, not_before, "
      "not_after, end_at, serial, last_used, leaf, chain_id, sealed_key, renew_at, "
      "slot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)");
  query.bind(name.text()).bind(key_type_of(certificate.key())).bind(*generation);
  query.bind(origin.issuer).bind(origin.account);
  query.bind(seconds(certificate.not_before())).bind(seconds(certificate.not_after()));
  query.bind(seconds(end)).bind(certificate.serial());
  query.bind(origin.visited ? seconds(now) : used_before->value_or(seconds(now)));
  query.bind_blob(chain[0]).bind(*chain_id).bind_blob(sealed).bind(number(origin.slot));
  if (auto done = query.run(); !done) return std::move(done).error();
  const int64_t id = connection.last_row_id();
  const auto planned =
      put_plan(connection, id, origin.plan.value_or(plan_by_life(certificate.not_before(), end)));
  if (!planned) return planned.error();
  return id;
}

}  // namespace latchkey::sqlite
