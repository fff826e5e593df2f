#pragma once
#include <string>
#include <variant>
#include <vector>

#include "base/task.h"
#include "cache/store.h"
#include "edge/import/batch.h"

namespace latchkey::edge {

// A batch on its way into the store; holds no secrets but those that are stored.
struct FiledBatch {
  std::vector<std::variant<ImportedCertificate, ImportSkip>> certificates;
  std::vector<Result<AccountRecord>> accounts;
  bool dry_run = false;
};

// Judges what is not judged yet, and files it. Overwrites the keys. Any thread: it may take 0.2 ms
// a certificate.
FiledBatch file_batch(ImportBatch batch, const ImportFiling& filing, WallTime now);

// Stores it; in a dry run says what would be stored. Control thread. An RSA certificate becomes the
// twin (Slot::kRsa) of good ones with other keys that the store has for all of its names: so those
// go first. An account is put where there is none for its directory. Fails when nothing can be
// stored.
Task<ImportAnswer> store_batch(Store& store, FiledBatch batch, WallTime now);

// What it would come to in a store where nothing is.
ImportRow would_be(const std::variant<ImportedCertificate, ImportSkip>& filed);

}  // namespace latchkey::edge
