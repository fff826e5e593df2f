#include "edge/import/sinks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "base/file.h"
#include "base/loop.h"
#include "cache/secret_box.h"
#include "cache/sqlite_store.h"
#include "cache/state_lock.h"
#include "edge/cli_call.h"
#include "edge/import/files.h"
#include "edge/import/store_batch.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Millis kBatchLimit = 5min;  // for the process to store one

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

class AdminSink final : public ImportSink {
 public:
  explicit AdminSink(std::string socket) : socket_(std::move(socket)) {}

  Result<ImportAnswer> take(ImportBatch batch) override {
    AdminCall call{"POST", "/certificates:import", kBatchLimit, write_batch(batch)};
    wipe_secrets(batch);
    const Result<AdminAnswer> answer = ask_admin(socket_, call);
    wipe(call.body);
    if (!answer) return answer.error();
    if (answer->status != 200) {
      std::string why(answer->json.text_of("error"));
      if (why.empty()) why = "latchkey answered with status " + std::to_string(answer->status);
      return Error{ErrorCode::kIo, why};
    }
    return read_answer(answer->body, batch.certificates.size(), batch.accounts.size());
  }

 private:
  const std::string socket_;
};

// What root has made in a folder of somebody else's is given to him: the service could not open it.
void hand_over(const fs::path& folder) {
  struct stat owner {};
  if (::geteuid() != 0 || ::stat(folder.c_str(), &owner) != 0 || owner.st_uid == 0) return;
  const Result<> listed = each_name_in(folder, [&](const std::string& name) {
    const fs::path file = folder / name;
    struct stat found {};
    const bool ours = ::lstat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode) &&
                      found.st_uid == 0 && found.st_nlink == 1;
    return !ours || ::lchown(file.c_str(), owner.st_uid, owner.st_gid) == 0;
  });
  if (!listed) return;
}

// `lock`: none for who only reads.
class StoreSink final : public ImportSink {
 public:
  StoreSink(const Config& config, std::optional<StateLock> lock)
      : folder_(config.state("")),
        filing_(config.issuers, config.renewal),
        lock_(std::move(lock)) {}
  ~StoreSink() override {
    store_.reset();
    if (lock_) hand_over(folder_);
  }

  Result<> open(const Config& config, Log& log) {
    SqliteStore::Options options;
    options.database = config.state(config.store_sqlite);
    options.encryption_key_file = config.state(config.encryption_key_file);
    options.read_only = !lock_;
    auto store = SqliteStore::open(std::move(options), loop_.address(), log);
    if (!store) return std::move(store).error().in("store");
    store_ = *std::move(store);
    return Unit{};
  }

  Result<ImportAnswer> take(ImportBatch batch) override {
    const WallTime now = wall_now();
    FiledBatch filed = file_batch(std::move(batch), filing_, now);
    Task<ImportAnswer> task = store_batch(*store_, std::move(filed), now);
    task.start();
    loop_.run_until([&] { return task.done(); });
    return std::move(task.outcome());
  }

 private:
  const fs::path folder_;
  const ImportFiling filing_;
  Loop loop_;
  std::optional<StateLock> lock_;
  std::unique_ptr<SqliteStore> store_;
};

// For a store that is not there yet.
class DrySink final : public ImportSink {
 public:
  explicit DrySink(const Config& config) : filing_(config.issuers, config.renewal) {}

  Result<ImportAnswer> take(ImportBatch batch) override {
    const FiledBatch filed = file_batch(std::move(batch), filing_, wall_now());
    ImportAnswer answer;
    answer.certificates.reserve(filed.certificates.size());
    for (const auto& one : filed.certificates) {
      answer.certificates.push_back(would_be(one));
    }
    answer.accounts.reserve(filed.accounts.size());
    for (const Result<AccountRecord>& account : filed.accounts) {
      answer.accounts.push_back(
          account ? ImportRow{ImportKind::kTaken, account->directory + ": " + account->url}
                  : ImportRow{ImportKind::kDamaged, account.error().message});
    }
    return answer;
  }

 private:
  const ImportFiling filing_;
};

}  // namespace

std::unique_ptr<ImportSink> make_admin_sink(std::string socket) {
  return std::make_unique<AdminSink>(std::move(socket));
}

Result<std::unique_ptr<ImportSink>> make_store_sink(const Config& config, Log& log) {
  const fs::path folder = config.state("");
  if (auto made = make_private_folder(folder); !made) {
    return std::move(made).error().in("state_dir");
  }
  auto lock = StateLock::acquire(folder);
  if (!lock) return std::move(lock).error().in("state_dir");
  auto sink = std::make_unique<StoreSink>(config, *std::move(lock));
  if (auto opened = sink->open(config, log); !opened) return opened.error();
  return std::unique_ptr<ImportSink>(std::move(sink));
}

Result<std::unique_ptr<ImportSink>> make_dry_sink(const Config& config, Log& log) {
  if (!is_file(config.state(config.store_sqlite))) {
    return std::unique_ptr<ImportSink>(std::make_unique<DrySink>(config));
  }
  auto sink = std::make_unique<StoreSink>(config, std::nullopt);
  if (auto opened = sink->open(config, log); !opened) return opened.error();
  return std::unique_ptr<ImportSink>(std::move(sink));
}

}  // namespace latchkey::edge
