// The first visit since the start: a name from the store, from the control thread's call to the
// certificate in its hands.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>

#include "base/check.h"
#include "base/loop.h"
#include "bench/comparison/filled_store.h"
#include "bench/micro/names.h"
#include "cache/sqlite_store.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

constexpr int64_t kRows = 50'000;

// Filled once for all, and gone at the end of the process.
const StoreFiles& filled() {
  static const test::TempFolder folder;
  static const StoreFiles files = [] {
    fill_store(folder / "state", kRows, make_one_certificate().certificate);
    return StoreFiles::in(folder / "state");
  }();
  return files;
}

class Opened {
 public:
  Opened() {
    auto opened = SqliteStore::open({filled().database, filled().key}, loop_.address(), log_);
    CHECK(opened);
    store_ = *std::move(opened);
  }

  bool read(const ServerName& name) {
    auto found = test::run(loop_, store_->find_name(name));
    benchmark::DoNotOptimize(found);
    return found && found->certificate != nullptr;
  }

 private:
  Log log_{2, Log::Format::kText, LogLevel::kError};
  Loop loop_;
  std::unique_ptr<SqliteStore> store_;
};

ServerName any_name(std::mt19937_64& random) {
  return parsed(stored_name(static_cast<int64_t>(random() % kRows)));
}

// The same few rows: SQLite has their pages.
void StoreReadWarm(benchmark::State& state) {
  Opened store;
  std::mt19937_64 random(3);
  std::vector<ServerName> names;
  for (int i = 0; i < 16; ++i) names.push_back(any_name(random));
  for (int i = 0; i < 64; ++i) store.read(names[static_cast<size_t>(i) % 16]);
  size_t at = 0;
  for (auto _ : state) {
    if (!store.read(names[at++ % 16])) state.SkipWithError("a name was not found");
  }
}
BENCHMARK(StoreReadWarm)->UseRealTime()->MeasureProcessCPUTime();

// Any row of the store: mostly not among SQLite's pages, but in the system's memory of the file.
void StoreReadAnyRow(benchmark::State& state) {
  Opened store;
  std::mt19937_64 random(4);
  std::vector<ServerName> names;
  for (int i = 0; i < 20'000; ++i) names.push_back(any_name(random));
  size_t at = 0;
  for (auto _ : state) {
    if (!store.read(names[at++ % names.size()])) state.SkipWithError("a name was not found");
  }
}
BENCHMARK(StoreReadAnyRow)->UseRealTime()->MeasureProcessCPUTime();

// The system has nothing of the file in memory either: from the disk.
void StoreReadFromDisk(benchmark::State& state) {
  Opened store;
  std::mt19937_64 random(5);
  const int file = ::open(filled().database.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  ::fsync(file);
  for (auto _ : state) {
    state.PauseTiming();
    const ServerName name = any_name(random);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    state.ResumeTiming();
    if (!store.read(name)) state.SkipWithError("a name was not found");
  }
  ::close(file);
}
BENCHMARK(StoreReadFromDisk)->UseRealTime()->MeasureProcessCPUTime()->Iterations(500);

}  // namespace
}  // namespace latchkey::bench
