#include "base/fault_point.h"

#ifdef LATCHKEY_FAULT_POINTS
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace latchkey {

void fault_point(std::string_view point) {
  const char* const wanted = std::getenv("LATCHKEY_FAULT_POINT");
  if (wanted == nullptr || point != wanted) return;
  static std::atomic<int> passes = 0;
  const char* const after = std::getenv("LATCHKEY_FAULT_AFTER");
  if (passes++ >= (after == nullptr ? 0 : std::atoi(after))) ::kill(::getpid(), SIGKILL);
}

}  // namespace latchkey
#endif
