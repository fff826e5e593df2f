#include "bench/load/descriptors.h"

#include <sys/resource.h>

#include <string>

namespace latchkey::bench {

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t usable_descriptors() {
  constexpr uint64_t kOthers = 64;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 2 * kOthers ? limit.rlim_cur - kOthers : kOthers;
}

Result<> check_descriptors(const char* option, uint64_t count, uint64_t limit) {
  if (count <= limit) return Unit{};
  return Error{ErrorCode::kInvalid,
               std::string(option) + ": expected at most " + std::to_string(limit) +
                   " for the limit of open files here (ulimit -n), got " + std::to_string(count)};
}

}  // namespace latchkey::bench
