#include "edge/reloader.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "edge/control_plane.h"

namespace latchkey::edge {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ",") + item;
  return out;
}

}  // namespace

Reloader::Reloader(Config config, Hooks hooks, Loop& loop, Log& log)
    : as_written_(std::move(config)),
      as_read_(as_written_),
      current_(as_written_),
      hooks_(std::move(hooks)),
      loop_(loop),
      log_(log),
      loader_(loop, log),
      watch_(watch(current_)),
      loaded_(loop.clock().wall_now()) {}

std::shared_ptr<FileWatch> Reloader::watch(const Config& config) {
  std::vector<std::filesystem::path> files;
  for (const std::string& file : config.on_demand.allow_files) files.push_back(config.file(file));
  if (files.empty()) return nullptr;
  return std::make_shared<FileWatch>(loop_, std::move(files), [this] { files_changed(); });
}

void Reloader::files_changed() {
  if (!telling_.empty()) {  // it may have read them before
    files_changed_ = true;
    return;
  }
  ++file_loads_;
  loader_.load(current_, [this](Result<std::shared_ptr<const Allowlist>> list) {
    --file_loads_;
    if (!list) {
      log_.error("allowlist_reload_failed", "the old allowlist stays: " + list.error().message);
      return;
    }
    hooks_.apply_allowlist(*list);
    log_.info("allowlist_reloaded", "a watched file has changed", {{"entries", (*list)->size()}});
  });
}

void Reloader::reload(Told told) {
  if (!telling_.empty()) {
    next_.push_back(std::move(told));
    return;
  }
  telling_.push_back(std::move(told));
  begin();
}

void Reloader::begin() {
  if (hooks_.reread == nullptr) {
    return end(Error{ErrorCode::kNotFound, "there is no configuration file to read again"});
  }
  auto config = hooks_.reread();
  if (!config) return refuse(config.error());
  std::vector<std::string> troubles;
  const auto routes = make_routes(*config, troubles);
  if (!troubles.empty()) return refuse(Error{ErrorCode::kInvalid, troubles.front()});
  auto challenge_route = make_challenge_route(*config);
  if (!challenge_route) return refuse(challenge_route.error());
  if (auto files = check_files(*config); !files) return refuse(files.error());
  auto tls = TlsPolicy::load(*config);
  if (!tls) return refuse(tls.error());
  auto fallback = Fallback::load(*config);
  if (!fallback) return refuse(fallback.error());
  std::shared_ptr<const FrontOptions> front;
  if (hooks_.load_front) {
    auto loaded = hooks_.load_front(*config);
    if (!loaded) return refuse(loaded.error());
    front = *std::move(loaded);
  }
  auto watching = watch(*config);  // before the files are read: no change is missed
  // A load for the watch that is still queued is served by ours, of files that may come to nothing.
  const bool shared = file_loads_ > 0;
  loader_.load(*config, [this, config = *config, routes, fallback = *fallback,
                         challenge_route = *challenge_route, tls = *tls, front, watching,
                         shared](Result<std::shared_ptr<const Allowlist>> list) {
    if (!list) {
      files_changed_ = files_changed_ || shared;
      return refuse(std::move(list).error().in("on_demand.allow_files"));
    }
    const Snapshot snapshot{config, routes, fallback, challenge_route, *list, tls, front};
    end(take(snapshot, watching));
  });
}

Reloaded Reloader::take(const Snapshot& snapshot, std::shared_ptr<FileWatch> watch) {
  Reloaded out;
  out.took_effect = changed_keys(current_, snapshot.config);
  out.needs_restart = keys_for_restart(as_written_, snapshot.config);
  const std::vector<std::string> rewritten = as_read_.changed(snapshot.config);
  out.needs_restart.insert(out.needs_restart.end(), rewritten.begin(), rewritten.end());
  std::erase_if(out.took_effect, [&](const std::string& key) {
    return std::count(out.needs_restart.begin(), out.needs_restart.end(), key) > 0;
  });
  out.allowlist_entries = snapshot.allowlist->size();
  hooks_.apply(snapshot);
  snapshot.fallback->warn_of_expired(log_, loop_.clock().wall_now());
  current_ = snapshot.config;
  watch_ = std::move(watch);
  loaded_ = loop_.clock().wall_now();
  needs_restart_ = out.needs_restart;
  return out;
}

void Reloader::refuse(Error why) {
  why.code = ErrorCode::kInvalid;  // whatever reading it has met: the operator mends it
  end(why);
}

void Reloader::end(const Result<Reloaded>& outcome) {
  if (!outcome) {
    log_.error("reload_failed", "the old configuration stays: " + outcome.error().message);
  } else {
    if (!outcome->needs_restart.empty()) {
      log_.warning("reload_needs_restart",
                   "these keys, or the files that they name, have changed and need a restart",
                   {{"keys", joined(outcome->needs_restart)}});
    }
    log_.info(
        "reloaded",
        "routes, allowlist, certificates, TLS, what is done around requests and log level are "
        "as the file says",
        {{"allowlist_entries", outcome->allowlist_entries}});
  }
  const std::vector<Told> told = std::exchange(telling_, std::exchange(next_, {}));
  if (!telling_.empty()) {
    // From the loop: whoever asks for reloads within reloads does not pile up on the stack.
    loop_.address().post([this] { begin(); });
  } else if (std::exchange(files_changed_, false)) {
    files_changed();
  }
  for (const Told& each : told) each(outcome);
}

}  // namespace latchkey::edge
