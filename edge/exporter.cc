#include "edge/exporter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/file.h"
#include "base/pending.h"
#include "base/pool.h"
#include "base/subprocess.h"
#include "edge/slot_pages.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxFailed = 1000;  // beyond that all are looked through once more instead
constexpr size_t kMaxNames = 10'000;
constexpr size_t kMaxJournal = kMaxNames * 256;  // bytes
constexpr Millis kQuiet = 2s, kLongest = 30s;    // of a burst
constexpr Millis kFirstRetry = 1min, kLastRetry = 1h;
constexpr const char* kEverything = "*";  // too many names to tell

// Appends a line to a file, on disk once it returns.
Result<> add_line(const std::filesystem::path& file, const std::string& text) {
  const auto failed = [&] {
    return Error{ErrorCode::kIo, "cannot write " + file.string() + ": " + errno_text(errno)};
  };
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return failed();
  const std::string line = text + "\n";
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       ::fdatasync(fd) == 0;
  Result<> result = Unit{};
  if (!written) result = failed();
  ::close(fd);
  return result;
}

// Waits that grow while something fails.
class Backoff {
 public:
  Millis next() {
    const Millis wait = next_;
    next_ = std::min(2 * next_, kLastRetry);
    return wait;
  }
  void reset() { next_ = kFirstRetry; }

 private:
  Millis next_ = kFirstRetry;
};

}  // namespace

struct Exporter::Impl {
  Impl(ExportConfig c, Store& s, uv_loop_t& l, Clock& k, Log& g, size_t q, Counts& n)
      : config(std::move(c)),
        dir(config.dir),
        journal(dir / ".hook-pending"),
        store(s),
        loop(l),
        clock(k),
        log(g),
        max_queued(q),
        counts(n) {}

  Task<> work();
  Task<> read_journal();
  Task<> next_page();
  Task<> write(SlotName what, CertificatePtr certificate);
  Task<> run_hook();
  Task<> rest();
  void wake() {
    if (sleeper != nullptr) std::exchange(sleeper, nullptr)->resolve(Unit{});
  }
  void wake_soon() {
    if (sleeper != nullptr) waking = clock.after(Millis(0), [this] { wake(); });
  }

  void failed(const SlotName& what, const Error& error);
  void retry_failed();
  void changed(const ServerName& name);
  TimePoint hook_due() const {
    const bool many = everything || names.size() >= kMaxNames;
    const TimePoint due =
        many ? first_change : std::min(last_change + kQuiet, first_change + kLongest);
    return std::max(due, hook_not_before);
  }
  bool failing() const { return pages_failed || !failures.empty(); }
  bool hook_waits() const { return config.hook && (everything || !names.empty()); }

  const ExportConfig config;
  const std::filesystem::path dir, journal;
  Store& store;
  uv_loop_t& loop;
  Clock& clock;
  Log& log;
  const size_t max_queued;
  Counts& counts;

  std::unordered_map<SlotName, CertificatePtr> queue;  // <= max_queued
  bool look_through_all = true;                        // from the beginning, as soon as may be
  std::optional<SlotPages> pages;                      // set while all are looked through
  std::deque<SlotName> page;                           // of them: what is left of one

  std::unordered_set<SlotName> failures;  // <= kMaxFailed
  bool pages_failed = false;              // or too many failures: all are looked through again
  TimePoint retry_at{};
  Backoff backoff, hook_backoff;

  std::set<std::string> names;  // written, and not told to the hook: <= kMaxNames
  bool everything = false;      // ... or more than that
  TimePoint first_change{}, last_change{}, hook_not_before{};

  bool held = false;
  bool busy = false;
  Pending<>* sleeper = nullptr;
  Alarm waking;
  Task<> worker;
};

Task<> Exporter::Impl::work() {
  busy = true;
  co_await read_journal();
  for (;;) {
    if (held) {
      co_await rest();
      continue;
    }
    retry_failed();
    if (std::exchange(look_through_all, false)) {
      pages.emplace(store);
      page.clear();
    }
    if (hook_waits() && clock.now() >= hook_due()) {
      co_await run_hook();
    } else if (!queue.empty()) {
      auto next = queue.extract(queue.begin());
      SlotName what = next.key();
      co_await write(std::move(what), std::move(next.mapped()));
    } else if (!page.empty()) {
      SlotName what = std::move(page.front());
      page.pop_front();
      CertificatePtr from_store;
      co_await write(std::move(what), std::move(from_store));
    } else if (pages) {
      co_await next_page();
    } else {
      co_await rest();
    }
  }
}

Task<> Exporter::Impl::read_journal() {
  if (!config.hook) co_return Unit{};
  std::function<Result<std::string>()> reading = [file = journal] {
    return read_file(file, kMaxJournal);
  };
  Task<std::string> job = in_pool(loop, std::move(reading));
  const Result<std::string> text = co_await std::move(job).result();
  if (!text) {
    everything = text.error().code != ErrorCode::kNotFound;
    co_return Unit{};
  }
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, end - at);
    at = end + 1;
    if (line == kEverything || names.size() >= kMaxNames) {
      everything = true;
    } else if (!line.empty()) {
      names.insert(line);
    }
  }
  first_change = last_change = clock.now();
  co_return Unit{};
}

Task<> Exporter::Impl::next_page() {
  Task<std::vector<SlotName>> reading = pages->next();
  const Result<std::vector<SlotName>> read = co_await std::move(reading).result();
  if (!read) {
    counts.failed.add();
    log.error("export_failed", "the certificates to export cannot be listed: " +
                                   read.error().message + "; tried again later");
    pages.reset();
    pages_failed = true;
    if (retry_at == TimePoint{}) retry_at = clock.now() + backoff.next();
  } else if (read->empty()) {
    pages.reset();
  } else {
    page.assign(read->begin(), read->end());
  }
  co_return Unit{};
}

// `certificate`: null for the one that the store has.
Task<> Exporter::Impl::write(SlotName what, CertificatePtr certificate) {
  if (certificate == nullptr) {
    Task<CertificatePtr> finding = store.find_certificate(what.name, what.slot);
    Result<CertificatePtr> found = co_await std::move(finding).result();
    if (!found) {
      failed(what, found.error());
      co_return Unit{};
    }
    certificate = *std::move(found);
    if (certificate == nullptr) co_return Unit{};  // deleted since
  }
  // The hook is to hear of it also where we end between the files and the hook.
  const bool note = config.hook && !everything && !names.contains(what.name.text());
  const std::string line = names.size() >= kMaxNames ? kEverything : what.name.text();
  const auto noted = std::make_shared<bool>(false);  // read once the job is done
  std::function<Result<bool>()> writing = [folder = dir, file = journal, what, certificate, note,
                                           line, noted] {
    const auto take_note = [&]() -> Result<> {
      if (!note) return Unit{};
      auto added = add_line(file, line);
      *noted = added.has_value();
      return added;
    };
    return export_certificate(folder, what.name, what.slot, *certificate, take_note);
  };
  Task<bool> job = in_pool(loop, std::move(writing));
  const Result<bool> written = co_await std::move(job).result();
  if (!written) {
    if (*noted) changed(what.name);  // some of the files may be new
    failed(what, written.error());
    co_return Unit{};
  }
  if (!*written) co_return Unit{};
  counts.written.add();
  log.info("certificate_exported", "exported to " + dir.string(),
           {{"name", what.name.text()},
            {"slot", what.slot == Slot::kRsa ? "rsa" : "main"},
            {"serial", certificate->serial()}});
  changed(what.name);
  co_return Unit{};
}

void Exporter::Impl::failed(const SlotName& what, const Error& error) {
  counts.failed.add();
  log.error("export_failed", error.message + "; tried again later",
            {{"name", what.name.text()}, {"slot", what.slot == Slot::kRsa ? "rsa" : "main"}});
  if (failures.size() < kMaxFailed) {
    failures.insert(what);
  } else {
    pages_failed = true;
  }
  if (retry_at == TimePoint{}) retry_at = clock.now() + backoff.next();
}

void Exporter::Impl::retry_failed() {
  if (!failing() || clock.now() < retry_at) return;
  retry_at = {};
  if (std::exchange(pages_failed, false)) {
    look_through_all = true;
  } else {
    page.insert(page.end(), failures.begin(), failures.end());
  }
  failures.clear();
}

void Exporter::Impl::changed(const ServerName& name) {
  if (!config.hook) return;
  last_change = clock.now();
  if (!hook_waits()) first_change = last_change;
  if (names.size() >= kMaxNames) everything = true;
  if (!everything) names.insert(name.text());
}

Task<> Exporter::Impl::run_hook() {
  ProgramCall call;
  call.path = config.hook->program;
  call.timeout = config.hook->timeout;
  call.environment.emplace_back("LATCHKEY_EXPORT_DIR", dir.string());
  if (everything) {
    call.input = std::string(kEverything) + "\n";
  } else {
    for (const std::string& name : names) call.input += name + "\n";
  }
  counts.hooks.add();
  Task<ProgramEnd> program = run_program(loop, clock, std::move(call));
  const Result<ProgramEnd> end = co_await std::move(program).result();
  if (end && !end->errors.empty()) log.warning("export_hook_errors", end->errors);
  if (end && !end->output.empty()) log.debug("export_hook_output", end->output);
  if (!end || !end->well()) {
    counts.hooks_failed.add();
    const Millis wait = hook_backoff.next();
    hook_not_before = clock.now() + wait;
    log.error("export_hook_failed", config.hook->program + " " +
                                        (end ? end->how() : "was not run: " + end.error().message) +
                                        "; run again in " + std::to_string(wait / Millis(1min)) +
                                        " min");
    co_return Unit{};
  }
  log.info("export_hook", "the export hook knows of the new certificates",
           {{"names", names.size()}});
  hook_backoff.reset();
  names.clear();
  everything = false;
  std::function<Result<>()> forgetting = [file = journal]() -> Result<> {
    if (::unlink(file.c_str()) == 0 || errno == ENOENT) return Unit{};
    return Error{ErrorCode::kIo, "cannot delete " + file.string() + ": " + errno_text(errno)};
  };
  Task<> job = in_pool(loop, std::move(forgetting));
  const Result<> forgotten = co_await std::move(job).result();
  if (!forgotten) log.warning("export_failed", forgotten.error().message);
  co_return Unit{};
}

// Until something is stored, or is to be tried again, or the hook is due.
Task<> Exporter::Impl::rest() {
  if (!failing()) backoff.reset();
  TimePoint until = TimePoint::max();
  if (!held && hook_waits()) until = std::min(until, hook_due());
  if (!held && failing()) until = std::min(until, retry_at);
  Pending<> woken;
  sleeper = &woken;
  Alarm alarm;
  if (until != TimePoint::max()) alarm = clock.after(until - clock.now(), [this] { wake(); });
  busy = false;
  Result<> ignored = co_await woken;
  busy = true;
  waking.reset();
  co_return ignored;
}

Exporter::Exporter(ExportConfig config, Store& store, uv_loop_t& loop, Clock& clock, Log& log,
                   size_t max_queued)
    : impl_(std::make_unique<Impl>(std::move(config), store, loop, clock, log, max_queued,
                                   counts_)) {}

Exporter::~Exporter() {
  impl_->worker = {};
}

void Exporter::hold() {
  impl_->held = true;
}

void Exporter::release() {
  impl_->held = false;
  impl_->wake_soon();
}

bool Exporter::busy() const {
  return impl_->busy;
}

void Exporter::stop() {
  impl_->worker = {};
  impl_->waking.reset();
  impl_->sleeper = nullptr;
  impl_->busy = false;
  impl_->look_through_all = true;
}

void Exporter::start() {
  impl_->worker = impl_->work();
  impl_->worker.start();
}

void Exporter::stored(const ServerName& name, Slot slot, const CertificatePtr& certificate) {
  const SlotName what{name, slot};
  const auto found = impl_->queue.find(what);
  if (found != impl_->queue.end()) {
    found->second = certificate;
  } else if (impl_->queue.size() < impl_->max_queued) {
    impl_->queue.emplace(what, certificate);
  } else {
    impl_->look_through_all = true;
  }
  impl_->wake_soon();
}

bool Exporter::idle() const {
  return !impl_->busy && impl_->waking == nullptr && impl_->queue.empty();
}

bool Exporter::at_rest() const {
  return idle() && !impl_->hook_waits() && !impl_->failing();
}

}  // namespace latchkey::edge
