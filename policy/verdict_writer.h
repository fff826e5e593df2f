#pragma once
#include <functional>
#include <list>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/log.h"
#include "base/metrics.h"
#include "base/server_name.h"
#include "base/task_set.h"
#include "cache/store.h"

namespace latchkey {

// Brings verdicts to the store behind everybody's back: one write at a time, so that certificates
// never queue behind many of them, and of a name only the newest state. Control thread.
class VerdictWriter {
 public:
  // `lost` hears of rows that could not be written, or found no room. All outlive us.
  using Lost = std::function<void(const ServerName&)>;
  VerdictWriter(size_t max_waiting, Store& store, Log& log, Lost lost);
  // Gives the store what still waits.
  ~VerdictWriter();
  VerdictWriter(const VerdictWriter&) = delete;

  void put(const ServerName& name, VerdictRecord verdict);
  // Deletes the name's row. Takes the place of a waiting put when there is no room. When it fails
  // it is tried again behind the next change that works, and at our end.
  void remove(const ServerName& name);
  // Somebody else sees to the name's row from now on. True when its state was still waiting here.
  bool drop(const ServerName& name);

  // Is the name's row to be deleted, which has not been done yet? Then it says nothing.
  bool removing(const ServerName& name) const;

  size_t waiting() const { return waiting_.size(); }

 private:
  struct Change {
    ServerName name;
    std::optional<VerdictRecord> verdict;  // none: delete the row
  };
  using Changes = std::list<Change>;

  void add(Change change);
  void forget(Changes::iterator change);
  Task<> task_of(const Change& change);
  Task<> write();
  void report(const Result<>& written, const Change& change);
  void retry_a_delete();

  const size_t max_waiting_;
  Store& store_;
  Log& log_;
  Lost lost_;
  Changes waiting_;  // the oldest first; <= max_waiting_, about 500 bytes each
  std::unordered_map<std::string_view, Changes::iterator> index_;  // keys: views into waiting_
  std::optional<ServerName> removing_;                             // the delete under way
  // Failed deletes of names that are not waiting; <= max_waiting_.
  std::set<ServerName> undeleted_;
  bool writing_ = false;
  bool failing_ = false;  // the last write failed, and that was said
  TaskSet tasks_;         // last: its end ends the write
};

}  // namespace latchkey
