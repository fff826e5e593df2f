#pragma once
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "edge/import/batch.h"

namespace latchkey::edge {

// What an import tells its operator: progress while it runs, then what was taken, skipped and why.
// Paths and names only, never what is in a file.
class ImportReport {
 public:
  struct Options {
    bool verbose = false;   // each one as it comes, instead of the first 20 at the end
    bool terminal = false;  // progress is a bar; else a line for each tenth
    bool dry_run = false;
    std::string file{};  // each one, a line each; "" for none
    std::FILE* out = stdout;
    std::FILE* progress = stderr;
  };
  // Fails (kIo) when the file cannot be written.
  static Result<ImportReport> open(Options options);

  void certificate(const std::string& path, const ImportRow& row) { add(false, path, row); }
  void account(const std::string& path, const ImportRow& row) { add(true, path, row); }
  // `total`: places in the trees.
  void progress(size_t done, size_t total);
  // The summary. `unfinished`: why not all was looked at; "" when it was.
  void finish(const std::string& unfinished);

  size_t count(ImportKind kind) const;
  // Nothing was damaged, everything that should be is stored, the report was written.
  bool is_clean() const;

 private:
  struct Tally {
    size_t count = 0;
    std::vector<std::string> first;  // <= kShown lines
  };
  using Tallies = std::array<Tally, kImportKinds>;

  explicit ImportReport(Options options);
  void add(bool account, const std::string& path, const ImportRow& row);
  void show(bool account) const;
  void clear_bar();

  Options options_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  Tallies certificates_, accounts_;
  std::chrono::steady_clock::time_point began_, shown_{};
  size_t tenths_ = 0;  // that were told of
  bool bar_ = false;   // stands on the terminal
  bool written_ = true;
};

}  // namespace latchkey::edge
