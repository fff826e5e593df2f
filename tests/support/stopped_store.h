#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/loop.h"
#include "cache/sqlite_store.h"

namespace latchkey::test {

// Writes into the store of an edge that does not run, as an import or another node would. REQUIRES:
// it has run once.
class StoppedStore {
 public:
  explicit StoppedStore(const std::filesystem::path& state_dir);
  ~StoppedStore();

  void put(const std::string& name, CertificatePtr certificate);
  void fail(const std::string& name, FailureRecord failure);
  NameRecord find(const std::string& name);

 private:
  Log log_{2, Log::Format::kText, LogLevel::kError};
  Loop loop_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace latchkey::test
