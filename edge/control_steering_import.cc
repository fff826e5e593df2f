// Certificates and accounts of another program's.
#include <algorithm>
#include <memory>
#include <utility>

#include "cache/secret_box.h"
#include "edge/control_steering.h"
#include "edge/import/store_batch.h"

namespace latchkey::edge {
namespace {

// Each has a body of 16 MiB at most, and what it parses into.
constexpr size_t kMaxImports = 2;

class Counted {
 public:
  explicit Counted(size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;

 private:
  size_t& count_;
};

int64_t taken_of(const std::vector<ImportRow>& rows) {
  return std::count_if(rows.begin(), rows.end(),
                       [](const ImportRow& row) { return row.kind == ImportKind::kTaken; });
}

}  // namespace

Task<std::string> ControlSteering::import(std::string batch) {
  if (imports_ >= kMaxImports) {
    wipe(batch);
    co_return Error{ErrorCode::kThrottled, "two imports are under way: wait for one to end"};
  }
  const Counted counted(imports_);
  // Certificates are parsed on a thread of its own: a batch takes longer than a loop should wait.
  if (importer_ == nullptr) importer_ = std::make_unique<JobThread>(parts_.loop.address());
  const WallTime now = parts_.loop.clock().wall_now();
  const auto text = std::make_shared<std::string>(std::move(batch));
  std::function<Result<FiledBatch>()> job =
      [text, filing = ImportFiling(parts_.config.issuers, parts_.config.renewal),
       now]() -> Result<FiledBatch> {
    Result<ImportBatch> read = read_batch(*text);
    wipe(*text);
    if (!read) return std::move(read).error();
    return file_batch(*std::move(read), filing, now);
  };
  Task<FiledBatch> filing = importer_->run<FiledBatch>(std::move(job));
  FiledBatch filed = co_await std::move(filing);
  const bool dry_run = filed.dry_run;
  Task<ImportAnswer> storing = store_batch(parts_.plane.store(), std::move(filed), now);
  const ImportAnswer answer = co_await std::move(storing);
  if (!dry_run) {
    parts_.log.info("imported", "a batch of another program's certificates has been looked at",
                    {{"certificates", answer.certificates.size()},
                     {"taken", taken_of(answer.certificates)},
                     {"accounts_taken", taken_of(answer.accounts)}});
    parts_.plane.renewals().look_soon();
  }
  co_return write_answer(answer);
}

}  // namespace latchkey::edge
