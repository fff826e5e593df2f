#pragma once
#include <span>

namespace latchkey::edge {

// Where this thread reads into: room for 64 KiB and a head, shared by all its connections, good
// until the event handler that reads returns. So a connection at rest owns no buffer.
inline std::span<char> read_buffer() {
  thread_local char bytes[66 << 10];
  return bytes;
}

}  // namespace latchkey::edge
