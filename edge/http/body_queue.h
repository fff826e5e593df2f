#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "edge/http/outbox.h"

namespace latchkey::edge {

// What is kept of a message's body until the peer's windows take it. In front of it there is room
// for what goes ahead of it on the wire, a frame's head for instance: both leave in one piece, and
// no small TLS records and sends are made. Bounded by its users.
class BodyQueue {
 public:
  size_t size() const { return lent_.size() + bytes_.size() - from_; }
  bool empty() const { return size() == 0; }

  void append(std::string_view bytes);
  // The same, but they stay where they are until keep(): most of them are gone by then.
  void lend(std::string_view bytes);
  void keep();
  // The first `bytes`, behind what `out` has gathered.
  void move(size_t bytes, Outbox& out);

 private:
  std::string bytes_;      // room, and what is kept
  size_t from_ = 0;        // where that begins
  std::string_view lent_;  // then nothing is kept
};

}  // namespace latchkey::edge
