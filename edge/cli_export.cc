#include "edge/cli_export.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "cache/sqlite_store.h"
#include "edge/cli_options.h"
#include "edge/config.h"
#include "edge/exporter.h"
#include "edge/slot_pages.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxWords = 10'000;

class Export {
 public:
  Export(Store& store, std::filesystem::path dir) : store_(store), dir_(std::move(dir)) {}

  Task<> all() {
    SlotPages pages(store_);
    for (;;) {
      const std::vector<SlotName> page = co_await pages.next();
      if (page.empty()) co_return Unit{};
      for (const SlotName& what : page) {
        CertificatePtr from_store;
        co_await one(what, std::move(from_store));
      }
    }
  }

  Task<> these(std::vector<ServerName> names) {
    for (const ServerName& name : names) {
      Task<CertificatePtr> finding = store_.find_certificate(name, Slot::kMain);
      const Result<CertificatePtr> main = co_await std::move(finding).result();
      if (!main) {
        fail(name, main.error().message);
        continue;
      }
      Task<CertificatePtr> finding_twin = store_.find_certificate(name, Slot::kRsa);
      const Result<CertificatePtr> twin = co_await std::move(finding_twin).result();
      if (!twin) fail(name, twin.error().message);
      const bool has_twin =
          twin && *twin != nullptr && (*main == nullptr || !(*twin)->same_leaf(**main));
      if (*main == nullptr && !has_twin) {
        fail(name, "the store has no certificate for it");
        continue;
      }
      const SlotName as_main{name, Slot::kMain}, as_twin{name, Slot::kRsa};
      if (*main != nullptr) co_await one(as_main, *main);
      if (has_twin) co_await one(as_twin, *twin);
    }
    co_return Unit{};
  }

  int report() const {
    std::printf("%zu written, %zu as they were, %zu failed, in %s\n", written_, same_, failed_,
                dir_.c_str());
    return failed_ == 0 ? kOk : kFailure;
  }

 private:
  // `certificate`: null for the store's.
  Task<> one(SlotName what, CertificatePtr certificate) {
    if (certificate == nullptr) {
      Task<CertificatePtr> finding = store_.find_certificate(what.name, what.slot);
      Result<CertificatePtr> found = co_await std::move(finding).result();
      if (!found) {
        fail(what.name, found.error().message);
        co_return Unit{};
      }
      certificate = *std::move(found);
      if (certificate == nullptr) co_return Unit{};  // deleted since it was listed
    }
    const auto written = export_certificate(dir_, what.name, what.slot, *certificate);
    if (!written) {
      fail(what.name, written.error().message);
    } else {
      ++(*written ? written_ : same_);
    }
    co_return Unit{};
  }
  void fail(const ServerName& name, const std::string& why) {
    ++failed_;
    std::fprintf(stderr, "%s: %s\n", name.text().c_str(), why.c_str());
  }

  Store& store_;
  const std::filesystem::path dir_;
  size_t written_ = 0, same_ = 0, failed_ = 0;
};

Result<Config> config_of(const CommandLine& line) {
  if (line.has("--config")) return load_config(line.one("--config"));
  Config config;
  config.folder = std::filesystem::current_path();
  if (line.has("--state-dir")) config.state_dir = line.one("--state-dir");
  return config;
}

int export_store(const Config& config, const std::filesystem::path& dir,
                 std::vector<ServerName> names) {
  Loop loop;
  Log log(STDERR_FILENO, Log::Format::kText, LogLevel::kWarning);
  SqliteStore::Options options;
  options.database = config.state(config.store_sqlite);
  options.encryption_key_file = config.state(config.encryption_key_file);
  options.read_only = true;
  const auto store = SqliteStore::open(std::move(options), loop.address(), log);
  if (!store) return complain(store.error(), kFailure);
  Export work(**store, dir);
  Task<> task = names.empty() ? work.all() : work.these(std::move(names));
  task.start();
  loop.run_until([&] { return task.done(); });
  if (const auto& outcome = task.outcome(); !outcome) {
    work.report();
    return complain(outcome.error(), kFailure);
  }
  return work.report();
}

}  // namespace

int run_export(int argc, char** argv) {
  CommandSyntax syntax;
  syntax.options = {"--to", "--config", "--state-dir"};
  syntax.words = kMaxWords;
  const auto line = CommandLine::read(argc, argv, syntax);
  if (!line) return usage(line.error().message);
  if (!line->has("--to")) return usage("certs export: --to DIR is missing");
  if (line->has("--config") && line->has("--state-dir")) {
    return usage("--config and --state-dir say the same: give one of them");
  }
  std::vector<ServerName> names;
  names.reserve(line->words().size());
  for (const std::string& word : line->words()) {
    auto name = parse_managed(word);
    if (!name) return usage("certs export: " + name.error().message);
    names.push_back(*std::move(name));
  }
  const auto config = config_of(*line);
  if (!config) return complain(config.error(), kBadConfig);
  return export_store(*config, line->one("--to"), std::move(names));
}

}  // namespace latchkey::edge
