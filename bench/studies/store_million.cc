// A store of a million certificates beside one of a single one: what opening costs, in time and
// memory, the query for what is due next, and the read of a name that is not in the cache. Each is
// measured in a process of its own.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "bench/comparison/filled_store.h"
#include "cache/sqlite_store.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::bench {
namespace {

// The bounds, for a million: ms to open, MiB more than with one, ms a query and a read.
constexpr double kMaxOpen = 200, kMaxMore = 8, kMaxDue = 1, kMaxCold = 1;
constexpr int kReads = 3000;
constexpr int kQueries = 500;

using Time = std::chrono::steady_clock;

double ms_since(Time::time_point start) {
  return std::chrono::duration<double, std::milli>(Time::now() - start).count();
}

double percentile(std::vector<double>& sorted, double part) {
  return sorted[static_cast<size_t>(part * static_cast<double>(sorted.size() - 1))];
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

using Files = StoreFiles;

std::unique_ptr<SqliteStore> open(const Files& files, Loop& loop, Log& log) {
  auto opened = SqliteStore::open({files.database, files.key}, loop.address(), log);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    std::exit(1);
  }
  return *std::move(opened);
}

// What lies in the system's memory of the file is let go of.
void forget_file(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  ::fsync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

struct Measured {
  double open = 0, more_at_start = 0, more = 0;  // ms; MiB at the opening, and after all reads
  double due_p50 = 0, due_p99 = 0;               // ms
  double cold_p50 = 0, cold_p99 = 0;
  double disk_p50 = 0, disk_p99 = 0;  // the file was not in the system's memory either
};

Measured measure(const Files& files, int64_t rows) {
  Measured out;
  Log log(2, Log::Format::kText, LogLevel::kError);
  Loop loop;
  const double before = resident_mib();
  const auto start = Time::now();
  const auto store = open(files, loop, log);
  out.open = ms_since(start);
  out.more_at_start = resident_mib() - before;

  std::vector<double> took;
  took.reserve(kReads);
  const auto timed = [&](auto act) {
    const auto begin = Time::now();
    act();
    took.push_back(ms_since(begin));
  };
  for (int i = 0; i < kQueries; ++i) {
    timed([&] {
      const auto due = test::run(loop, store->find_due(TestCa::now(), 100));
      CHECK(due && due->next != RenewalPlan::kNever);
    });
  }
  std::sort(took.begin(), took.end());
  out.due_p50 = percentile(took, 0.5);
  out.due_p99 = percentile(took, 0.99);

  std::minstd_rand random(2);
  const auto read = [&](int reads) {
    took.clear();
    for (int i = 0; i < reads; ++i) {
      const std::string text = stored_name(static_cast<int64_t>(random()) % rows);
      const ServerName name = *ServerName::parse(text);
      timed([&] {
        const auto found = test::run(loop, store->find_name(name));
        CHECK(found && found->certificate != nullptr && found->info->name == name);
      });
    }
    std::sort(took.begin(), took.end());
  };
  forget_file(files.database);
  read(kReads / 3);
  out.disk_p50 = percentile(took, 0.5);
  out.disk_p99 = percentile(took, 0.99);
  std::ifstream whole(files.database, std::ios::binary);  // back into the system's memory
  for (std::vector<char> part(1 << 20); whole.read(part.data(), 1 << 20);) continue;
  read(kReads);
  out.cold_p50 = percentile(took, 0.5);
  out.cold_p99 = percentile(took, 0.99);
  out.more = resident_mib() - before;
  return out;
}

// In a process of its own, so that memory of one part is not taken for that of another.
template <typename T>
T in_child(const std::function<T()>& part) {
  int ends[2];
  CHECK(::pipe(ends) == 0);
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    const T result = part();
    ::_exit(::write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
  }
  ::close(ends[1]);
  T result{};
  const bool read = ::read(ends[0], &result, sizeof result) == sizeof result;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  if (!read) std::exit(1);
  return result;
}

int run(int64_t rows) {
  const test::TempFolder folder;
  const Files one = Files::in(folder / "one");
  const Files many = Files::in(folder / "many");
  const double filling = in_child<double>([&] {
    const auto start = Time::now();
    const CertificatePtr certificate = make_one_certificate().certificate;
    fill_store(folder / "one", 1, certificate);
    fill_store(folder / "many", rows, certificate);
    return ms_since(start) / 1000;
  });
  std::printf("store: %lld certificates, %.0f MiB on disk, filled in %.0f s\n",
              static_cast<long long>(rows),
              static_cast<double>(std::filesystem::file_size(many.database)) / (1 << 20), filling);
  const auto few = in_child<Measured>([&] { return measure(one, 1); });
  const auto all = in_child<Measured>([&] { return measure(many, rows); });

  std::printf("%-44s %10s %10lld\n", "certificates", "1", static_cast<long long>(rows));
  const auto row = [](const char* what, double a, double b) {
    std::printf("%-44s %10.3f %10.3f\n", what, a, b);
  };
  row("opening, ms", few.open, all.open);
  row("memory when it is open, MiB", few.more_at_start, all.more_at_start);
  row("memory after all reads, MiB", few.more, all.more);
  row("what is due next, p50, ms", few.due_p50, all.due_p50);
  row("what is due next, p99, ms", few.due_p99, all.due_p99);
  row("a name that is not in the cache, p50, ms", few.cold_p50, all.cold_p50);
  row("a name that is not in the cache, p99, ms", few.cold_p99, all.cold_p99);
  row("... nor its file in memory, p50, ms", few.disk_p50, all.disk_p50);
  row("... nor its file in memory, p99, ms", few.disk_p99, all.disk_p99);
  const bool kept = all.open < kMaxOpen && all.more_at_start < few.more_at_start + kMaxMore &&
                    all.more < few.more + kMaxMore && all.due_p50 < kMaxDue &&
                    all.cold_p50 < kMaxCold;
  std::printf("bounds (opening %.0f ms, %.0f MiB more memory, due %.0f ms, a name %.0f ms): %s\n",
              kMaxOpen, kMaxMore, kMaxDue, kMaxCold, kept ? "kept" : "BROKEN");
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int64_t rows = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  if (rows < 100 || rows > 9'000'000) {
    std::fprintf(stderr, "usage: %s [CERTIFICATES]   (100 to 9 000 000)\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(rows);
}
