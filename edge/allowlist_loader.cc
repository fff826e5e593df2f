#include "edge/allowlist_loader.h"

#include <optional>
#include <utility>

namespace latchkey::edge {
namespace {

constexpr size_t kFewLines = 100;  // a file of so few lines may lose them without a warning

// What a load needs of a configuration.
struct Sources {
  std::vector<std::string> entries;
  std::vector<std::filesystem::path> files;
  std::vector<ServerName> managed;
};
Sources sources_of(const Config& config) {
  Sources out{config.on_demand.allow, {}, managed_names(config)};
  out.files.reserve(config.on_demand.allow_files.size());
  for (const std::string& file : config.on_demand.allow_files) {
    out.files.push_back(config.file(file));
  }
  return out;
}

struct Loaded {
  Result<std::shared_ptr<const Allowlist>> list = Error{};
  std::vector<Allowlist::BadLine> bad;
};
Loaded load_from(const Sources& sources) {
  Loaded out;
  out.list = Allowlist::load(sources.entries, sources.files, out.bad, sources.managed);
  return out;
}

void report(const std::vector<Allowlist::BadLine>& bad, Log& log) {
  for (const Allowlist::BadLine& line : bad) {
    log.error("allowlist_bad_line", "an entry is left out: " + line.what, {{"where", line.where}});
  }
}

}  // namespace

Result<std::shared_ptr<const Allowlist>> load_allowlist(const Config& config, Log& log) {
  Loaded loaded = load_from(sources_of(config));
  report(loaded.bad, log);
  return std::move(loaded.list);
}

struct AllowlistLoader::State : std::enable_shared_from_this<State> {
  State(Loop& loop, Log& l) : home(loop.address()), log(l) {}

  void start();
  void finish(const Sources& sources, Loaded loaded);
  void compare(const std::vector<std::filesystem::path>& files, const Allowlist& list, bool warn);

  const Mailbox::Address home;
  Log& log;
  std::map<std::filesystem::path, size_t> lines;  // of each file, as it was loaded last
  std::vector<Done> loading;                      // who waits for the load under way
  std::optional<Sources> next;                    // the one after it
  std::vector<Done> waiting;                      // who waits for that; bounded by who calls
  std::unique_ptr<JobThread> thread;              // made at the first load
};

void AllowlistLoader::State::start() {
  loading = std::exchange(waiting, {});
  if (thread == nullptr) thread = std::make_unique<JobThread>(home);
  thread->push([home = home, weak = weak_from_this(), sources = *std::exchange(next, {})] {
    auto loaded = std::make_shared<Loaded>(load_from(sources));
    home.post([weak, loaded, sources] {
      if (const auto self = weak.lock()) self->finish(sources, std::move(*loaded));
    });
  });
}

void AllowlistLoader::State::finish(const Sources& sources, Loaded loaded) {
  report(loaded.bad, log);
  if (loaded.list) compare(sources.files, **loaded.list, true);
  const std::vector<Done> told = std::exchange(loading, {});
  if (next) start();
  for (const Done& done : told) done(loaded.list);
}

void AllowlistLoader::State::compare(const std::vector<std::filesystem::path>& files,
                                     const Allowlist& list, bool warn) {
  std::map<std::filesystem::path, size_t> now;
  for (size_t i = 0; i < files.size(); ++i) now[files[i]] = list.lines_of_files()[i];
  for (const auto& [file, count] : now) {
    const auto before = lines.find(file);
    if (!warn || before == lines.end()) continue;
    if (before->second <= kFewLines || count * 2 >= before->second) continue;
    log.warning("allowlist_shrunk",
                "taken as it is: names that are gone get no new certificates; if the file was cut "
                "short by mistake, put it back, and it is read again",
                {{"file", file.string()}, {"lines", count}, {"lines_before", before->second}});
  }
  lines = std::move(now);
}

AllowlistLoader::AllowlistLoader(Loop& loop, Log& log)
    : state_(std::make_shared<State>(loop, log)) {}

AllowlistLoader::~AllowlistLoader() {
  state_->thread.reset();
}

void AllowlistLoader::load(const Config& config, Done done) {
  state_->next = sources_of(config);
  state_->waiting.push_back(std::move(done));
  if (state_->loading.empty()) state_->start();
}

void AllowlistLoader::compare_with(const Config& config, const Allowlist& list) {
  state_->compare(sources_of(config).files, list, false);
}

}  // namespace latchkey::edge
