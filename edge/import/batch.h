#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "edge/import/convert.h"
#include "edge/import/entry.h"

namespace latchkey::edge {

// Some of what an import has found, to be stored together.
struct ImportBatch {
  struct Item {
    ImportEntry entry;
    std::optional<JudgedEntry> judged{};  // none: to be judged
  };
  std::vector<Item> certificates;
  std::vector<ImportAccount> accounts;
  bool dry_run = false;  // nothing is stored
};

// Overwrites its keys.
void wipe_secrets(ImportBatch& batch);

// What became of one of them.
enum class ImportKind {
  kTaken,
  kSame,     // is there already
  kKept,     // a newer certificate, or another account, is there and stays
  kSkipped,  // nothing is wrong with it, but it is of no use here
  kDamaged,
  kFailed,  // could not be stored
};
constexpr size_t kImportKinds = 6;
std::string_view to_string(ImportKind kind);

struct ImportRow {
  ImportKind kind = ImportKind::kTaken;
  std::string what;  // for people: the name and until when; or why not
};
struct ImportAnswer {
  std::vector<ImportRow> certificates, accounts;  // in the batch's order
};

// As they go over the admin socket (docs/admin-api.md). What is read is judged anew.
std::string write_batch(const ImportBatch& batch);
Result<ImportBatch> read_batch(std::string_view json);
std::string write_answer(const ImportAnswer& answer);
// kProtocol: that is no answer to so many.
Result<ImportAnswer> read_answer(std::string_view json, size_t certificates, size_t accounts);

}  // namespace latchkey::edge
