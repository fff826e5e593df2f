#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace latchkey::edge {

struct ReadBuffer {
  static constexpr size_t kRoom = 512;
  std::array<char, kRoom + (66 << 10)> bytes;
};

inline ReadBuffer& this_threads_read_buffer() {
  thread_local ReadBuffer buffer;
  return buffer;
}

// Where this thread reads into: room for 64 KiB and a head, shared by all its connections, good
// until the event handler that reads returns. So a connection at rest owns no buffer. Who reads
// deals with the bytes in their order: what is in front of those being dealt with is spent.
inline std::span<char> read_buffer() {
  return std::span(this_threads_read_buffer().bytes).subspan(ReadBuffer::kRoom);
}

// How many characters in front of `bytes` may be written over: 512 at least if they are in the
// buffer, 0 if they are elsewhere.
inline size_t room_before(std::string_view bytes) {
  const auto& buffer = this_threads_read_buffer().bytes;
  const auto begin = reinterpret_cast<uintptr_t>(buffer.data());
  const auto at = reinterpret_cast<uintptr_t>(bytes.data());
  return at < begin || at - begin > buffer.size() ? 0 : at - begin;
}

}  // namespace latchkey::edge
