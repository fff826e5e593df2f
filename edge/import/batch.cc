#include "edge/import/batch.h"

#include <algorithm>
#include <iterator>

#include "base/json.h"
#include "cache/secret_box.h"
#include "edge/admin_query.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxItems = 10'000;  // of a batch
constexpr std::string_view kKinds[kImportKinds] = {"taken",   "same",    "kept",
                                                   "skipped", "damaged", "failed"};

void add(std::string& list, std::string_view json) {
  if (!list.empty()) list += ',';
  list += json;
}

std::string list_of(const std::string& items) {
  return "[" + items + "]";
}

std::string entry_json(const ImportEntry& entry) {
  JsonObject out;
  out.text("path", entry.path).text("chain", entry.chain_pem).text("key", entry.key_pem);
  if (!entry.directory.empty()) out.text("directory", entry.directory);
  if (!entry.account.empty()) out.text("account", entry.account);
  if (entry.window) {
    out.raw("window", JsonObject()
                          .text("start", iso_time(entry.window->start))
                          .text("end", iso_time(entry.window->end))
                          .str());
  }
  if (entry.renew_at) out.text("renew_at", iso_time(*entry.renew_at));
  return out.str();
}

std::string account_json(const ImportAccount& account) {
  JsonObject out;
  out.text("path", account.path).text("directory", account.directory).text("url", account.url);
  if (!account.eab_kid.empty()) out.text("eab_kid", account.eab_kid);
  return out.text("key", account.key_pem).str();
}

Error wrong(const std::string& what) {
  return {ErrorCode::kInvalid, what};
}

// Fails, without quoting it, on what is not of that form: it may be a secret in the wrong place.
Result<std::string> text_in(const JsonValue& object, const char* key, bool required) {
  const JsonValue* const value = object.find(key);
  if (value == nullptr && !required) return std::string();
  if (value == nullptr || !value->is(JsonValue::Kind::kString)) {
    return wrong(std::string(key) + ": expected a string");
  }
  return value->text;
}

struct Field {
  const char* key;
  bool required;
  std::string* out;
};

Result<> read_fields(const JsonValue& object, std::initializer_list<Field> fields) {
  if (!object.is(JsonValue::Kind::kObject)) return wrong("expected an object");
  for (const Field& field : fields) {
    Result<std::string> text = text_in(object, field.key, field.required);
    if (!text) return text.error();
    *field.out = *std::move(text);
  }
  return Unit{};
}

Result<ImportBatch::Item> read_entry(const JsonValue& json) {
  ImportBatch::Item item;
  ImportEntry& entry = item.entry;
  std::string renew_at;
  const auto read = read_fields(json, {{"path", false, &entry.path},
                                       {"chain", true, &entry.chain_pem},
                                       {"key", true, &entry.key_pem},
                                       {"directory", false, &entry.directory},
                                       {"account", false, &entry.account},
                                       {"renew_at", false, &renew_at}});
  if (!read) return read.error();
  if (!renew_at.empty() && !(entry.renew_at = parse_time(renew_at))) {
    return wrong("renew_at: expected a time like 2026-03-01T12:00:00Z");
  }
  if (const JsonValue* const window = json.find("window")) {
    const auto start = parse_time(window->text_of("start"));
    const auto end = parse_time(window->text_of("end"));
    if (!start || !end) return wrong(R"(window: expected {"start": ..., "end": ...} with times)");
    entry.window = RenewalWindow{*start, *end};
  }
  return item;
}

Result<ImportAccount> read_account(const JsonValue& json) {
  ImportAccount account;
  const auto read = read_fields(json, {{"path", false, &account.path},
                                       {"directory", true, &account.directory},
                                       {"url", false, &account.url},
                                       {"key", true, &account.key_pem},
                                       {"eab_kid", false, &account.eab_kid}});
  if (!read) return read.error();
  return account;
}

// Reads each item of the list under `key`; without one there are none.
template <typename T>
Result<> read_list(const JsonValue& body, const char* key, Result<T> (*read)(const JsonValue&),
                   std::vector<T>& out) {
  const JsonValue* const list = body.find(key);
  if (list == nullptr) return Unit{};
  if (!list->is(JsonValue::Kind::kArray)) return wrong(std::string(key) + ": expected a list");
  if (list->items.size() > kMaxItems) {
    return wrong(std::string(key) + ": more than " + std::to_string(kMaxItems) +
                 ": send several batches");
  }
  out.reserve(list->items.size());
  for (size_t i = 0; i < list->items.size(); ++i) {
    Result<T> item = read(list->items[i]);
    if (!item) {
      return std::move(item).error().in(std::string(key) + "[" + std::to_string(i) + "]");
    }
    out.push_back(*std::move(item));
  }
  return Unit{};
}

Result<ImportRow> read_row(const JsonValue& json) {
  const std::string_view word = json.text_of("outcome");
  const auto* const kind = std::find(std::begin(kKinds), std::end(kKinds), word);
  if (kind == std::end(kKinds)) return wrong("an outcome that is not known");
  return ImportRow{static_cast<ImportKind>(std::distance(std::begin(kKinds), kind)),
                   std::string(json.text_of("what"))};
}

std::string rows_json(const std::vector<ImportRow>& rows) {
  std::string out;
  for (const ImportRow& row : rows) {
    add(out, JsonObject().text("outcome", to_string(row.kind)).text("what", row.what).str());
  }
  return list_of(out);
}

}  // namespace

void wipe_secrets(ImportBatch& batch) {
  for (ImportBatch::Item& item : batch.certificates) {
    wipe(item.entry.key_pem);
    wipe(item.entry.chain_pem);  // one file may have held both
  }
  for (ImportAccount& account : batch.accounts) wipe(account.key_pem);
}

std::string_view to_string(ImportKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::string write_batch(const ImportBatch& batch) {
  std::string certificates, accounts;
  for (const ImportBatch::Item& item : batch.certificates)
    add(certificates, entry_json(item.entry));
  for (const ImportAccount& account : batch.accounts) add(accounts, account_json(account));
  return JsonObject()
      .boolean("dry_run", batch.dry_run)
      .raw("certificates", list_of(certificates))
      .raw("accounts", list_of(accounts))
      .str();
}

Result<ImportBatch> read_batch(std::string_view json) {
  const Result<JsonValue> body = parse_json(json);
  if (!body || !body->is(JsonValue::Kind::kObject)) {
    return wrong("the body is no JSON object");  // nothing of it is quoted: it has secrets
  }
  ImportBatch batch;
  for (const JsonMember& member : body->members) {
    const bool known =
        member.key == "certificates" || member.key == "accounts" || member.key == "dry_run";
    if (!known) return wrong("expected certificates, accounts and dry_run only");
  }
  if (const JsonValue* const dry = body->find("dry_run")) {
    if (!dry->is(JsonValue::Kind::kBool)) return wrong("dry_run: expected true or false");
    batch.dry_run = dry->boolean;
  }
  if (auto read = read_list(*body, "certificates", read_entry, batch.certificates); !read) {
    return read.error();
  }
  if (auto read = read_list(*body, "accounts", read_account, batch.accounts); !read) {
    return read.error();
  }
  return batch;
}

std::string write_answer(const ImportAnswer& answer) {
  return JsonObject()
      .raw("certificates", rows_json(answer.certificates))
      .raw("accounts", rows_json(answer.accounts))
      .str();
}

Result<ImportAnswer> read_answer(std::string_view json, size_t certificates, size_t accounts) {
  const Result<JsonValue> body = parse_json(json);
  if (!body) return Error{ErrorCode::kProtocol, "an answer that is no JSON"};
  ImportAnswer answer;
  auto read = read_list(*body, "certificates", read_row, answer.certificates);
  if (read) read = read_list(*body, "accounts", read_row, answer.accounts);
  if (!read) return Error{ErrorCode::kProtocol, read.error().message};
  if (answer.certificates.size() != certificates || answer.accounts.size() != accounts) {
    return Error{ErrorCode::kProtocol, "an answer that is not to what was sent"};
  }
  return answer;
}

}  // namespace latchkey::edge
