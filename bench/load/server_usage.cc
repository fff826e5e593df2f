#include "bench/load/server_usage.h"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

namespace latchkey::bench {
namespace {

double read_clock(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// 0 where it may not be read: that of other users' processes.
uint64_t rolled_up_bytes(const std::string& folder) {
  std::ifstream in(folder + "/smaps_rollup");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("Rss:")) return std::stoull(line.substr(4)) * 1024;
  }
  return 0;
}

// What the kernel counts by itself, which lags by some pages a core.
uint64_t counted_bytes(const std::string& folder) {
  std::ifstream in(folder + "/statm");
  uint64_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Result<ServerUsage> ServerUsage::of(const std::vector<pid_t>& pids) {
  ServerUsage usage;
  for (const pid_t pid : pids) {
    clockid_t clock = 0;
    const int error = clock_getcpuclockid(pid, &clock);
    if (error != 0) {
      return Error{ErrorCode::kNotFound, "--server-pid: process " + std::to_string(pid) +
                                             " cannot be measured (" + std::strerror(error) +
                                             "); give the server's process ids on this machine"};
    }
    usage.pids_.push_back(pid);
    usage.clocks_.push_back(clock);
  }
  return usage;
}

double ServerUsage::cpu_seconds() const {
  double sum = 0;
  for (const clockid_t clock : clocks_) sum += read_clock(clock);
  return sum;
}

uint64_t ServerUsage::resident_bytes() const {
  uint64_t sum = 0;
  for (const pid_t pid : pids_) {
    const std::string folder = "/proc/" + std::to_string(pid);
    const uint64_t exact = rolled_up_bytes(folder);
    sum += exact != 0 ? exact : counted_bytes(folder);
  }
  return sum;
}

uint64_t ServerUsage::roughly_resident_bytes() const {
  uint64_t sum = 0;
  for (const pid_t pid : pids_) sum += counted_bytes("/proc/" + std::to_string(pid));
  return sum;
}

double own_cpu_seconds() {
  return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

}  // namespace latchkey::bench
