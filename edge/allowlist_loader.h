#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/job_thread.h"
#include "base/log.h"
#include "base/loop.h"
#include "edge/config.h"
#include "policy/allowlist.h"

namespace latchkey::edge {

// The allowlist of a configuration, its managed names and addresses included, loaded in this
// thread; bad lines are logged and left out.
Result<std::shared_ptr<const Allowlist>> load_allowlist(const Config& config, Log& log);

// Loads allowlists anew while the process serves, on a thread of its own: a million lines take half
// a second. Control thread.
class AllowlistLoader {
 public:
  // All or nothing: the error names the file that could not be read, and the remedy; the list in
  // force should stay. It has not been logged.
  using Done = std::function<void(Result<std::shared_ptr<const Allowlist>>)>;

  AllowlistLoader(Loop& loop, Log& log);
  // Waits for the load under way; its `done` is not called.
  ~AllowlistLoader();
  AllowlistLoader(const AllowlistLoader&) = delete;

  // Calls `done` on the loop, later. One load at a time: requests during a load are served together
  // by one more after it, of the newest configuration. Logs bad lines, and a warning for each file
  // that has lost more than half of over 100 lines since it was loaded before. `done` may call
  // load(), and may destroy the loader.
  void load(const Config& config, Done done);

  // The list in force, where it did not come from here: what the first load is compared with.
  void compare_with(const Config& config, const Allowlist& list);

 private:
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace latchkey::edge
