#include "edge/import/report.h"

#include <cerrno>

#include "base/file.h"
#include "edge/admin_text.h"

namespace latchkey::edge {
namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t kShown = 20;  // of each kind, at the end
constexpr int kBarWidth = 30;
constexpr auto kBarEvery = 100ms;
constexpr auto kQuietFor = 1s;  // what is over sooner needs no progress

const char* word_for(ImportKind kind, bool account, bool dry_run) {
  switch (kind) {
    case ImportKind::kTaken:
      return dry_run ? "would be taken" : "taken";
    case ImportKind::kSame:
      return "already there";
    case ImportKind::kKept:
      return account ? "another kept" : "newer kept";
    case ImportKind::kSkipped:
      return "skipped";
    case ImportKind::kDamaged:
      return "damaged";
    case ImportKind::kFailed:
      break;
  }
  return "not stored";
}

}  // namespace

Result<ImportReport> ImportReport::open(Options options) {
  ImportReport report(std::move(options));
  if (!report.options_.file.empty()) {
    report.file_.reset(std::fopen(report.options_.file.c_str(), "we"));
    if (report.file_ == nullptr) {
      return Error{ErrorCode::kIo,
                   "--report: cannot write " + report.options_.file + ": " + errno_text(errno)};
    }
  }
  return report;
}

ImportReport::ImportReport(Options options)
    : options_(std::move(options)), file_(nullptr, std::fclose), began_(Steady::now()) {}

void ImportReport::add(bool account, const std::string& path, const ImportRow& row) {
  const auto index = static_cast<size_t>(row.kind);
  Tally& tally = (account ? accounts_ : certificates_)[index];
  ++tally.count;
  const std::string line = printable(path) + ": " + printable(row.what);
  const char* const word = word_for(row.kind, account, options_.dry_run);
  const char* const whose = account ? "account " : "";
  if (file_ != nullptr && std::fprintf(file_.get(), "%s%s: %s\n", whose, word, line.c_str()) < 0) {
    written_ = false;
  }
  if (options_.verbose) {
    clear_bar();
    std::fprintf(options_.out, "%s%s: %s\n", whose, word, line.c_str());
  } else if (tally.first.size() < kShown) {
    tally.first.push_back(line);
  }
}

void ImportReport::clear_bar() {
  if (!bar_) return;
  std::fputs("\r\033[K", options_.progress);
  std::fflush(options_.progress);
  bar_ = false;
}

void ImportReport::progress(size_t done, size_t total) {
  const auto now = Steady::now();
  if (total == 0 || now - began_ < kQuietFor) return;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const auto rate = static_cast<size_t>(static_cast<double>(done) / seconds);
  if (!options_.terminal) {
    const size_t tenths = done * 10 / total;
    if (tenths <= tenths_) return;
    tenths_ = tenths;
    std::fprintf(options_.progress, "import: %zu %%, %zu of %zu, %zu a second\n", tenths * 10, done,
                 total, rate);
    return;
  }
  if (now - shown_ < kBarEvery && done < total) return;
  shown_ = now;
  const auto filled = static_cast<int>(done * kBarWidth / total);
  std::fprintf(options_.progress, "\r\033[K[%.*s%*s] %zu/%zu, %zu a second", filled,
               "##############################", kBarWidth - filled, "", done, total, rate);
  std::fflush(options_.progress);
  bar_ = true;
}

void ImportReport::show(bool account) const {
  const Tallies& tallies = account ? accounts_ : certificates_;
  const auto word_of = [&](size_t kind) {
    return word_for(static_cast<ImportKind>(kind), account, options_.dry_run);
  };
  std::string counts;
  for (size_t i = 0; i < kImportKinds; ++i) {
    if (tallies[i].count == 0) continue;
    counts += (counts.empty() ? "" : ", ") + std::to_string(tallies[i].count) + " " + word_of(i);
  }
  size_t all = 0;
  for (const Tally& tally : tallies) all += tally.count;
  if (all == 0) return;
  std::fprintf(options_.out, "%zu %s%s: %s.\n", all, account ? "ACME account" : "certificate",
               all == 1 ? "" : "s", counts.c_str());
  for (size_t i = 0; i < kImportKinds; ++i) {
    const Tally& tally = tallies[i];
    if (tally.first.empty()) continue;
    std::fprintf(options_.out, "  %s:\n", word_of(i));
    for (const std::string& line : tally.first)
      std::fprintf(options_.out, "    %s\n", line.c_str());
    if (tally.count > tally.first.size()) {
      std::fprintf(options_.out, "    ... and %zu more (--verbose, --report FILE)\n",
                   tally.count - tally.first.size());
    }
  }
}

void ImportReport::finish(const std::string& unfinished) {
  clear_bar();
  size_t all = 0;
  for (const Tallies* tallies : {&certificates_, &accounts_}) {
    for (const Tally& tally : *tallies) all += tally.count;
  }
  if (all == 0) std::fputs("Nothing was found.\n", options_.out);
  show(false);
  show(true);
  const double seconds = std::chrono::duration<double>(Steady::now() - began_).count();
  if (all != 0) std::fprintf(options_.out, "In %.1f s.\n", seconds);
  if (options_.dry_run) std::fputs("This was a dry run: nothing was stored.\n", options_.out);
  if (!unfinished.empty()) {
    std::fprintf(options_.out, "Not all was looked at: %s\n", unfinished.c_str());
  }
  if (file_ != nullptr && (std::fflush(file_.get()) != 0 || std::ferror(file_.get()) != 0)) {
    written_ = false;
  }
  if (!written_) std::fputs("The report could not be written whole.\n", options_.out);
  std::fflush(options_.out);
}

size_t ImportReport::count(ImportKind kind) const {
  return certificates_[static_cast<size_t>(kind)].count +
         accounts_[static_cast<size_t>(kind)].count;
}

bool ImportReport::is_clean() const {
  return written_ && count(ImportKind::kDamaged) == 0 && count(ImportKind::kFailed) == 0;
}

}  // namespace latchkey::edge
