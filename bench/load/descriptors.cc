#include "bench/load/descriptors.h"

#include <sys/resource.h>

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

}  // namespace latchkey::bench
