#pragma once
#include <span>
#include <string>
#include <string_view>

#include "edge/http/spare_buffers.h"
#include "edge/transport.h"

namespace latchkey::edge {

// What is on its way into a transport. Small pieces are gathered; large ones go straight through,
// and only what the transport does not take is kept. Bounded by its users: they stop at kFull.
class Outbox {
 public:
  static constexpr size_t kFull = 64 << 10;

  explicit Outbox(Transport& transport) : transport_(transport) {}

  void put(std::string_view bytes);
  // The same of bytes that have `room` characters of no use in front of them: what is gathered goes
  // there, and all leaves in one piece.
  void put_behind(std::span<char> bytes, size_t room);
  // How much more fills a TLS record with what is gathered.
  size_t left_of_record() const { return kRecord - size() % kRecord; }
  // For writers that append: small heads and chunk frames. Followed by put() or flush().
  std::string& gathered() {
    if (bytes_.capacity() < kSmall && bytes_.empty()) bytes_ = take_spare_buffer(kGather);
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

  static constexpr size_t kGather = 4 << 10;
  static constexpr size_t kSmall = 64;
  static constexpr size_t kRecord = 16 << 10;  // RFC 8446, 5.1

  Transport& transport_;
  std::string bytes_;
  size_t from_ = 0;  // before this, it is written
  bool blocked_ = false;
  bool broken_ = false;
};

}  // namespace latchkey::edge
