#include "edge/import/run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "cache/secret_box.h"
#include "edge/import/bounded_queue.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPlaces = 10'000'000;   // of one import
constexpr size_t kMaxAccounts = 10'000;     // in memory until the end, 3 KiB each
constexpr size_t kBatchItems = 256;         // in a batch
constexpr size_t kBatchBytes = 2 << 20;     // about, of what is in it
constexpr size_t kWaitingPlaces = 4 << 10;  // found and not yet read
constexpr size_t kWaitingChunks = 4;        // read and not yet stored

// What a reader has got together.
struct Chunk {
  std::vector<ImportBatch::Item> items;
  std::vector<ImportAccount> accounts;
  std::vector<ImportSkip> skips;
  std::vector<ImportPlace> later;  // that hold RSA certificates
  size_t places = 0;
  size_t bytes = 0;

  bool is_full() const {
    return items.size() >= kBatchItems || bytes >= kBatchBytes || places >= kBatchItems;
  }
};

enum class Pass { kOthers, kRsa };

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

void judge(ImportEntry entry, Chunk& chunk) {
  std::variant<JudgedEntry, ImportSkip> judged = judge_entry(entry, wall_now());
  if (auto* const skip = std::get_if<ImportSkip>(&judged)) {
    wipe(entry.key_pem);
    chunk.skips.push_back(std::move(*skip));
    return;
  }
  chunk.bytes += entry.chain_pem.size() + entry.key_pem.size() + entry.path.size();
  chunk.items.push_back({std::move(entry), std::get<JudgedEntry>(std::move(judged))});
}

void read_place(const ImportPlace& place, Pass pass, Chunk& chunk) {
  ++chunk.places;
  ImportFindings found;
  place(found);
  bool wait = false;
  for (ImportEntry& entry : found.entries) {
    const bool rsa = has_rsa_leaf(entry.chain_pem);
    if (rsa == (pass == Pass::kRsa)) {
      judge(std::move(entry), chunk);
    } else {
      wait = wait || rsa;
      wipe(entry.key_pem);
    }
  }
  if (pass == Pass::kRsa) return;  // the rest was told of in the first pass
  if (wait) chunk.later.push_back(place);
  std::move(found.skips.begin(), found.skips.end(), std::back_inserter(chunk.skips));
  std::move(found.accounts.begin(), found.accounts.end(), std::back_inserter(chunk.accounts));
}

// Finds places, reads them on threads, and hands out what they come to.
class Readers {
 public:
  using Walk = std::function<void(const ImportVisitor&)>;

  Readers(const Walk& walk, Pass pass, size_t threads) : working_(threads) {
    threads_.reserve(threads + 1);
    threads_.emplace_back([this, &walk] {
      walk([this](ImportPlace place) { return places_.push(std::move(place)); });
      places_.close();
    });
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this, pass] { read(pass); });
  }
  // Stops where it is.
  ~Readers() {
    places_.close();
    chunks_.close();
    for (std::thread& thread : threads_) thread.join();
  }
  Readers(const Readers&) = delete;

  std::optional<Chunk> next() { return chunks_.pop(); }

 private:
  void read(Pass pass) {
    Chunk chunk;
    bool wanted = true;
    while (wanted) {
      const std::optional<ImportPlace> place = places_.pop();
      if (!place) break;
      read_place(*place, pass, chunk);
      if (chunk.is_full()) wanted = chunks_.push(std::exchange(chunk, Chunk()));
    }
    if (wanted) chunks_.push(std::move(chunk));
    if (--working_ == 0) chunks_.close();
  }

  BoundedQueue<ImportPlace> places_{kWaitingPlaces};
  BoundedQueue<Chunk> chunks_{kWaitingChunks};
  std::atomic<size_t> working_;
  std::vector<std::thread> threads_;
};

// One import, on the thread that called it.
class Import {
 public:
  Import(const ImportOptions& options, ImportSink& sink, ImportReport& report)
      : options_(options), sink_(sink), report_(report) {}

  Result<> run() {
    const Readers::Walk walk = [this](const ImportVisitor& visit) {
      walk_imports(options_.paths, options_.format, visit);
    };
    // Names are read twice rather than kept.
    walk([this](const ImportPlace&) { return ++total_ < kMaxPlaces; });
    std::vector<ImportPlace> later;  // <= total_, 100 bytes each
    if (auto read = read_all(walk, Pass::kOthers, later); !read) return read;
    const Readers::Walk again = [&later](const ImportVisitor& visit) {
      for (ImportPlace& place : later) {
        if (!visit(std::move(place))) return;
      }
    };
    done_ -= std::min(done_, later.size());  // they are not done yet
    std::vector<ImportPlace> none;
    if (auto read = read_all(again, Pass::kRsa, none); !read) return read;
    if (auto sent = send_accounts(); !sent) return sent;
    report_.progress(total_, total_);
    return Unit{};
  }

 private:
  Result<> read_all(const Readers::Walk& walk, Pass pass, std::vector<ImportPlace>& later) {
    Readers readers(walk, pass, std::max<size_t>(options_.threads, 1));
    while (std::optional<Chunk> chunk = readers.next()) {
      std::move(chunk->later.begin(), chunk->later.end(), std::back_inserter(later));
      const size_t places = chunk->places;
      if (auto sent = send(*std::move(chunk)); !sent) return sent;
      done_ += places;
      // Whoever adds to a tree meanwhile shall not see more than there is.
      report_.progress(std::min(done_, total_), total_);
    }
    return Unit{};
  }

  Result<> send(Chunk chunk) {
    for (const ImportSkip& skip : chunk.skips) {
      report_.certificate(skip.path,
                          {skip.damaged ? ImportKind::kDamaged : ImportKind::kSkipped, skip.why});
    }
    for (ImportAccount& account : chunk.accounts) keep(std::move(account));
    ImportBatch batch;
    batch.dry_run = options_.dry_run;
    batch.certificates = std::move(chunk.items);
    if (batch.certificates.empty()) return Unit{};
    std::vector<std::string> paths;
    paths.reserve(batch.certificates.size());
    for (const ImportBatch::Item& item : batch.certificates) {
      paths.push_back(item.entry.path);
      if (!item.entry.account.empty()) count_use(item.entry.account);
    }
    const Result<ImportAnswer> answer = sink_.take(std::move(batch));
    if (!answer) return answer.error();
    for (size_t i = 0; i < paths.size(); ++i)
      report_.certificate(paths[i], answer->certificates[i]);
    return Unit{};
  }

  void count_use(const std::string& account) {
    const auto found = uses_.find(account);
    if (found != uses_.end()) {
      ++found->second;
    } else if (uses_.size() < kMaxAccounts) {
      uses_.emplace(account, 1);
    }
  }

  void keep(ImportAccount account) {
    if (options_.accounts && accounts_.size() < kMaxAccounts) {
      accounts_.push_back(std::move(account));
      return;
    }
    wipe(account.key_pem);
    report_.account(account.path, {ImportKind::kSkipped,
                                   options_.accounts ? "too many accounts" : "--no-accounts"});
  }

  Result<> send_accounts() {
    const auto uses = [this](const ImportAccount& account) {
      const auto found = uses_.find(account.url);
      return found == uses_.end() ? 0 : found->second;
    };
    std::stable_sort(
        accounts_.begin(), accounts_.end(),
        [&](const ImportAccount& a, const ImportAccount& b) { return uses(a) > uses(b); });
    for (size_t next = 0; next < accounts_.size();) {
      ImportBatch batch;
      batch.dry_run = options_.dry_run;
      std::vector<std::string> paths;
      // A damaged one's key may be as long as a file: together they must fit into a request.
      for (size_t bytes = 0;
           next < accounts_.size() && paths.size() < kBatchItems && bytes < kBatchBytes; ++next) {
        ImportAccount& account = accounts_[next];
        bytes += account.key_pem.size() + account.path.size();
        paths.push_back(account.path);
        batch.accounts.push_back(std::move(account));
      }
      const Result<ImportAnswer> answer = sink_.take(std::move(batch));
      if (!answer) return answer.error();
      for (size_t j = 0; j < paths.size(); ++j) report_.account(paths[j], answer->accounts[j]);
    }
    return Unit{};
  }

  const ImportOptions& options_;
  ImportSink& sink_;
  ImportReport& report_;
  size_t total_ = 0, done_ = 0;          // places
  std::vector<ImportAccount> accounts_;  // <= kMaxAccounts
  std::map<std::string, size_t> uses_;   // certificates by account URL; <= kMaxAccounts
};

}  // namespace

Result<> run_import(const ImportOptions& options, ImportSink& sink, ImportReport& report) {
  return Import(options, sink, report).run();
}

}  // namespace latchkey::edge
