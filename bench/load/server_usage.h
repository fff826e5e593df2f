#pragma once
#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <vector>

#include "base/result.h"

namespace latchkey::bench {

// CPU time and memory of the processes of --server-pid. Without any, both are 0.
class ServerUsage {
 public:
  // Errors: a process that is not there.
  static Result<ServerUsage> of(const std::vector<pid_t>& pids);

  bool any() const { return !pids_.empty(); }
  // User and system time of all threads so far, of all processes, to the nanosecond. A process that
  // has ended counts no more.
  double cpu_seconds() const;
  // Resident bytes. Exact, so that it takes a moment: walks the page tables.
  uint64_t resident_bytes() const;
  // The same at no cost, and some hundred KiB behind: for looks again and again.
  uint64_t roughly_resident_bytes() const;

 private:
  std::vector<pid_t> pids_;
  std::vector<clockid_t> clocks_;
};

// CPU time of our own process, in seconds.
double own_cpu_seconds();

}  // namespace latchkey::bench
