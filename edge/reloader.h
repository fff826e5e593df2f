#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_watch.h"
#include "base/log.h"
#include "base/loop.h"
#include "edge/allowlist_loader.h"
#include "edge/config.h"
#include "edge/fallback.h"

namespace latchkey::edge {

// What a reload came to.
struct Reloaded {
  std::vector<std::string> took_effect;
  std::vector<std::string> needs_restart;
  size_t allowlist_entries = 0;
};

// Takes changes of the configuration and of the files that it names while the process serves:
// everything is read and judged before anything is applied. Control thread.
class Reloader {
 public:
  // What a running process takes over.
  struct Snapshot {
    const Config& config;
    std::shared_ptr<const RoutingTable> routes;
    std::shared_ptr<const Fallback> fallback;
    std::shared_ptr<const Allowlist> allowlist;
  };
  struct Hooks {
    std::function<Result<Config>()> reread;  // empty: there is no file
    std::function<void(const Snapshot&)> apply;
    std::function<void(std::shared_ptr<const Allowlist>)> apply_allowlist;
  };

  // Watches the allow files of `config` from now on: read them after this.
  Reloader(Config config, Hooks hooks, Loop& loop, Log& log);
  Reloader(const Reloader&) = delete;

  // The allowlist that the process began with.
  void compare_with(const Allowlist& list) { loader_.compare_with(current_, list); }

  // Reloads come one after the other; each tells its outcome once, to the log, too.
  using Told = std::function<void(const Result<Reloaded>&)>;
  void reload(Told told);

  WallTime loaded() const { return loaded_; }
  const std::vector<std::string>& needs_restart() const { return needs_restart_; }

 private:
  std::shared_ptr<FileWatch> watch(const Config& config);
  void begin();
  Reloaded take(const Snapshot& snapshot, std::shared_ptr<FileWatch> watch);
  void end(const Result<Reloaded>& outcome);
  void files_changed();

  const Config as_written_;
  Config current_;
  const Hooks hooks_;
  Loop& loop_;
  Log& log_;
  AllowlistLoader loader_;
  std::shared_ptr<FileWatch> watch_;  // null: no files
  bool files_changed_ = false;        // during a reload
  std::vector<Told> telling_;         // of the reload under way; empty: none is
  std::vector<Told> next_;            // of the one after it
  WallTime loaded_;
  std::vector<std::string> needs_restart_;
};

}  // namespace latchkey::edge
