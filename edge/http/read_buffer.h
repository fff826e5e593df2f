#pragma once
#include <span>

namespace latchkey::edge {

// Where this thread reads into: 64 KiB shared by all its connections, good until the event handler
// that reads returns. So a connection at rest owns no buffer.
inline std::span<char> read_buffer() {
  thread_local char bytes[64 << 10];
  return bytes;
}

}  // namespace latchkey::edge
