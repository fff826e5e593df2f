#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"

namespace latchkey::edge {

// A file, a pipe or a terminal that gets whole lines from a thread of its own: who writes never
// waits for a disk. What the disk does not take in time is dropped and counted, and the log is told
// of it, every ten seconds at most. Any thread may call.
class AccessLog {
 public:
  static constexpr size_t kMaxWaiting = 4 << 20;  // bytes that wait to be written; as many more
                                                  // are being written

  // `file`: a path, which is made if it is not there (mode 0640) and appended to, or "stdout" or
  // "stderr". The error names it. `log` and `dropped`, which counts lines, outlive it.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& file, Log& log,
                                                 Counter& dropped);
  // Writes what waits, for two seconds at most.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;

  // `line`: its end included.
  void write(std::string_view line);
  // The path is opened anew before the next line is written: the old file was moved away. If that
  // fails the old one stays in use, and the log is told.
  void reopen();

  const std::string& file() const { return file_; }

 private:
  AccessLog(std::string file, int fd, Log& log, Counter& dropped);

  void work();
  void write_out(std::string_view bytes);
  bool wait_for_room() const;
  void open_anew();
  void tell_of_losses();

  const std::string file_;
  Log& log_;
  Counter& dropped_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;               // guarded by mutex_: <= kMaxWaiting and one line
  bool reopen_ = false;               // guarded by mutex_
  std::atomic<uint64_t> losses_{0};   // lines, since the log was told
  std::atomic<bool> closing_{false};  // set under mutex_

  // The thread's own.
  int fd_;
  bool regular_ = false;  // a file: it takes any size at once
  bool torn_ = false;     // a line was cut by an error: the next begins anew
  int64_t told_at_ = 0;   // steady seconds
  std::string last_error_;
  std::thread thread_;
};

}  // namespace latchkey::edge
