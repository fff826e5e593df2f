#include "cache/sqlite_reseal.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "cache/sqlite_accounts.h"
#include "cache/sqlite_authority.h"
#include "cache/sqlite_certificates.h"
#include "cache/sqlite_meta.h"
#include "cache/sqlite_orders.h"

namespace latchkey::sqlite {
namespace {

constexpr std::string_view kProgress = "reseal";

// The tables with sealed columns; a later one goes to the end, so that notes of progress hold.
// select: the rows behind a key, of which 0 is the key to go on
// from, 1 what a person calls the row, 2 what completes its context, 3 the sealed secret.
struct Table {
  std::string_view name;
  std::string_view select;
  std::string_view update;  // the sealed secret of a key
  std::string (*context)(std::string_view row, std::string_view more);
};

constexpr std::array<Table, 5> kTables{{
    // The key is padded, so that it sorts as a text.
    {"certificate",
     "SELECT printf('%020d', id), name, leaf, sealed_key FROM certificate "
     "WHERE id > CAST(? AS INTEGER) ORDER BY id LIMIT ?",
     "UPDATE certificate SET sealed_key = ? WHERE id = CAST(? AS INTEGER)", certificate_context},
    {"account",
     "SELECT directory, directory, '', sealed_key FROM account WHERE directory > ? "
     "ORDER BY directory LIMIT ?",
     "UPDATE account SET sealed_key = ? WHERE directory = ?",
     [](std::string_view row, std::string_view) { return account_context(row); }},
    {"account (next key)",
     "SELECT directory, directory, '', next_sealed_key FROM account "
     "WHERE directory > ? AND next_sealed_key IS NOT NULL ORDER BY directory LIMIT ?",
     "UPDATE account SET next_sealed_key = ? WHERE directory = ?",
     [](std::string_view row, std::string_view) { return next_key_context(row); }},
    {"order_state",
     // Few, so that they may be sorted each time.
     "SELECT slot || name, name, url, sealed_key FROM order_state WHERE slot || name > ? "
     "ORDER BY slot || name LIMIT ?",
     "UPDATE order_state SET sealed_key = ?1 "
     "WHERE name = substr(?2, 2) AND slot = CAST(substr(?2, 1, 1) AS INTEGER)",
     order_context},
    {"authority_key",
     "SELECT printf('%020d', id), authority, certificate, sealed_key FROM authority_key "
     "WHERE id > CAST(? AS INTEGER) ORDER BY id LIMIT ?",
     "UPDATE authority_key SET sealed_key = ? WHERE id = CAST(? AS INTEGER)",
     authority_key_context},
}};

// How far it has come: "<keys>\n<table's number>\n<last key>"; behind the last table it is done.
struct Progress {
  size_t table = 0;
  std::string last{};
};

Progress read_progress(std::string_view text, const std::string& keys) {
  const size_t first = text.find('\n');
  if (first == text.npos || text.substr(0, first) != keys) return {};
  text.remove_prefix(first + 1);
  const size_t second = text.find('\n');
  if (second != 1 || text[0] < '0' || text[0] > '0' + static_cast<int>(kTables.size())) return {};
  return {static_cast<size_t>(text[0] - '0'), std::string(text.substr(2))};
}

std::string write_progress(const Progress& progress, const std::string& keys) {
  return keys + "\n" + std::to_string(progress.table) + "\n" + progress.last;
}

struct Row {
  std::string key;
  std::string sealed;
};

// What is to be written of the next rows; `progress` goes behind them.
Result<std::vector<Row>> look(Connection& connection, const SecretBox& box, Progress& progress,
                              Resealed& out) {
  const Table& table = kTables[progress.table];
  const std::string newest = box.key_id();
  std::vector<Row> changed;
  Query query = connection.query(table.select);
  query.bind(progress.last).bind(kResealRows);
  int64_t rows = 0;
  for (;; ++rows) {
    const auto row = query.next();
    if (!row) return row.error();
    if (!*row) break;
    progress.last = query.text(0);
    const std::string_view sealed = query.text(3);
    const std::string needs = SecretBox::key_id_of(sealed);
    if (needs == newest) continue;
    const std::string context = table.context(query.text(1), query.text(2));
    auto secret = box.open(sealed, context);
    if (!secret) {
      out.left_alone.push_back({std::string(table.name), std::string(query.text(1)), needs,
                                std::move(secret).error().message});
      continue;
    }
    changed.push_back({progress.last, box.seal(*secret, context)});
    wipe(*secret);
  }
  if (rows < kResealRows) progress = {progress.table + 1, ""};
  return changed;
}

}  // namespace

Result<Resealed> reseal_piece(Connection& connection, const SecretBox& box) {
  const std::string keys = box.key_ids();
  const auto noted = find_meta(connection, kProgress);
  if (!noted) return noted.error();
  Progress progress = read_progress(noted->value_or(""), keys);
  Resealed out;
  out.done = progress.table == kTables.size();
  if (out.done) return out;

  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  const std::string_view update = kTables[progress.table].update;
  const auto changed = look(connection, box, progress, out);
  if (!changed) return changed.error();
  for (const Row& row : *changed) {
    Query query = connection.query(update);
    if (auto done = query.bind_blob(row.sealed).bind(row.key).run(); !done) {
      return std::move(done).error();
    }
  }
  auto put = put_meta(connection, kProgress, write_progress(progress, keys));
  if (!put) return std::move(put).error();
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  out.done = progress.table == kTables.size();
  return out;
}

}  // namespace latchkey::sqlite
