#pragma once
#include <string>
#include <string_view>

#include "edge/transport.h"

namespace latchkey::edge {

// What is on its way into a transport. Small pieces are gathered; large ones go straight through,
// and only what the transport does not take is kept. Bounded by its users: they stop at kFull.
class Outbox {
 public:
  static constexpr size_t kFull = 64 << 10;

  explicit Outbox(Transport& transport) : transport_(transport) {}

  void put(std::string_view bytes);
  // For writers that append: small heads and chunk frames. Followed by put() or flush().
  std::string& gathered() {
    if (bytes_.capacity() < kSmall) take_spare();
    return bytes_;
  }
  // Writes what it can.
  void flush();

  size_t size() const { return bytes_.size() - from_; }
  bool empty() const { return size() == 0; }
  bool full() const { return size() >= kFull; }
  // The transport did not take all: wait for on_writable.
  bool blocked() const { return blocked_ && !empty(); }
  bool broken() const { return broken_; }
  // Gives the memory back. For connections at rest.
  void release();

 private:
  size_t write(std::string_view bytes);
  void take_spare();

  static constexpr size_t kGather = 4 << 10;
  static constexpr size_t kSmall = 64;

  Transport& transport_;
  std::string bytes_;
  size_t from_ = 0;  // before this, it is written
  bool blocked_ = false;
  bool broken_ = false;
};

}  // namespace latchkey::edge
