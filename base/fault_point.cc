#include "base/fault_point.h"

#ifdef LATCHKEY_FAULT_POINTS
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace latchkey {

void fault_point(std::string_view point) {
  const char* wanted = std::getenv("LATCHKEY_FAULT_POINT");
  if (wanted != nullptr && point == wanted) ::kill(::getpid(), SIGKILL);
}

}  // namespace latchkey
#endif
