#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"

namespace latchkey {

// What changes when a file does, or comes, or goes, in words: of its status (links are followed),
// so it tells nothing of the content. Blocks as long as the file system does. Any thread.
std::string file_print(const std::filesystem::path& file);

// Tells when something that changes has come to rest. Pure.
class Settling {
 public:
  static constexpr int kMaxLooks = 5;  // what never rests is reported anyway

  explicit Settling(std::string first_look) : last_(std::move(first_look)) {}

  // The next look, in even intervals. True: it has changed since the last report, and not since the
  // look before; or it has been changing for kMaxLooks looks.
  bool look(std::string now);

 private:
  std::string last_;
  int changing_ = 0;  // looks since the first that saw the change; 0: none did
};

// Watches files by looking at them (stat), so that it works for files that are replaced, edited in
// place, reached by links (a mounted Kubernetes ConfigMap), not there yet, or on any file system.
// One thread's; the looking is done in libuv's thread pool.
class FileWatch {
 public:
  // Looks for the first time at once, in this thread: watch first, then read, and no change is
  // missed. `on_change` is called on the loop, also when files come or go, once they have been
  // quiet for an interval, or after five intervals. It may destroy the watch. `loop` and `clock`
  // outlive the watch.
  FileWatch(Loop& loop, std::vector<std::filesystem::path> files, std::function<void()> on_change)
      : FileWatch(loop.uv(), loop.clock(), std::move(files), std::move(on_change)) {}
  FileWatch(uv_loop_t& loop, Clock& clock, std::vector<std::filesystem::path> files,
            std::function<void()> on_change, Millis interval = Millis(2'000));
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;

 private:
  struct Look;
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace latchkey
