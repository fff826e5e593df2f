#pragma once
#include <filesystem>
#include <functional>
#include <vector>

#include "base/result.h"
#include "edge/import/batch.h"
#include "edge/import/format.h"
#include "edge/import/report.h"

namespace latchkey::edge {

// Where an import's batches go: the running process, or the store.
class ImportSink {
 public:
  virtual ~ImportSink() = default;
  // Blocks until it is stored. An error: nothing can be stored there, the rest neither.
  virtual Result<ImportAnswer> take(ImportBatch batch) = 0;
};

struct ImportOptions {
  std::vector<std::filesystem::path> paths;
  ImportFormat format = ImportFormat::kAuto;
  bool accounts = true;
  bool dry_run = false;
  size_t threads = 2;  // that read and verify
};

// Reads the trees and sends to the sink what can be served, a batch at a time: no more than a few
// batches are in memory, however large a tree is. Whatever is wrong with one of them goes into the
// report and stops no other. RSA certificates come after all others: they may be their twins. Of
// several accounts of one CA that with the most certificates goes first.
// Blocks. The error is the sink's.
Result<> run_import(const ImportOptions& options, ImportSink& sink, ImportReport& report);

}  // namespace latchkey::edge
