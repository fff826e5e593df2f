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
#include "edge/file_prints.h"
#include "edge/front/options.h"
#include "edge/tls_policy.h"

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
    std::shared_ptr<const RoutingTable> challenge_route;  // null: there is none
    std::shared_ptr<const Allowlist> allowlist;
    TlsPolicy tls;
    std::shared_ptr<const FrontOptions> front;  // null: nobody loads them
  };
  struct Hooks {
    std::function<Result<Config>()> reread;  // empty: there is no file
    std::function<void(const Snapshot&)> apply;
    std::function<void(std::shared_ptr<const Allowlist>)> apply_allowlist;
    std::function<Result<std::shared_ptr<const FrontOptions>>(const Config&)> load_front{};
  };

  // Watches the allow files of `config` from now on, and reads those that a reload does not take:
  // read them after this.
  Reloader(Config config, Hooks hooks, Loop& loop, Log& log);
  Reloader(const Reloader&) = delete;

  // The allowlist that the process began with.
  void compare_with(const Allowlist& list) { loader_.compare_with(current_, list); }

  // Reloads come one after the other; each tells its outcome once, to the log, too. Errors are
  // kInvalid (the configuration, or a file that it names, is bad: the old one stays) or kNotFound:
  // there is no file to read again.
  using Told = std::function<void(const Result<Reloaded>&)>;
  void reload(Told told);

  // Loads the allowlist of the configuration in force; the watch calls it.
  void files_changed();

  WallTime loaded() const { return loaded_; }
  const std::vector<std::string>& needs_restart() const { return needs_restart_; }

 private:
  std::shared_ptr<FileWatch> watch(const Config& config);
  void begin();
  Reloaded take(const Snapshot& snapshot, std::shared_ptr<FileWatch> watch);
  void refuse(Error why);
  void end(const Result<Reloaded>& outcome);

  const Config as_written_;
  const FilePrints as_read_;
  Config current_;
  const Hooks hooks_;
  Loop& loop_;
  Log& log_;
  AllowlistLoader loader_;
  std::shared_ptr<FileWatch> watch_;  // null: no files
  size_t file_loads_ = 0;             // under way or queued, for files_changed()
  bool files_changed_ = false;        // to be told once no reload is under way
  std::vector<Told> telling_;         // of the reload under way; empty: none is
  std::vector<Told> next_;            // of the one after it
  WallTime loaded_;
  std::vector<std::string> needs_restart_;
};

}  // namespace latchkey::edge
