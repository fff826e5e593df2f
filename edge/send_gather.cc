#include "edge/send_gather.h"

#include <cstring>
#include <utility>

namespace latchkey::edge {

SendGather::SendGather(uv_loop_t& loop) : turn_end_(loop, [this] { flush(); }) {
  pieces_.reserve(kMany);
}

void SendGather::append(Owner& owner, std::string_view bytes) {
  if (bytes.size() > kCapacity) {
    flush_if_owned_by(owner);
    owner.send_gathered(bytes);
    return;
  }
  if (pieces_.empty() || pieces_.back().owner != &owner) {
    if (used_ >= kMuch || pieces_.size() == kMany) flush();
    flush_if_owned_by(owner);  // its bytes are in one place
    pieces_.push_back({&owner, used_});
  }
  if (used_ + bytes.size() > kCapacity) {
    flush();
    pieces_.push_back({&owner, 0});
  }
  std::memcpy(buffer_.data() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
}

void SendGather::flush() {
  for (size_t i = 0; i < pieces_.size(); ++i) send(i);
  pieces_.clear();
  used_ = 0;
}

void SendGather::flush_if_owned_by(const Owner& owner) {
  const size_t piece = find(owner);
  if (piece < pieces_.size()) send(piece);
}

size_t SendGather::gathered_for(const Owner& owner) const {
  const size_t piece = find(owner);
  return piece < pieces_.size() ? end_of(piece) - pieces_[piece].from : 0;
}

size_t SendGather::find(const Owner& owner) const {
  size_t piece = pieces_.size();
  while (piece > 0 && pieces_[piece - 1].owner != &owner) --piece;
  return piece > 0 ? piece - 1 : pieces_.size();
}

size_t SendGather::end_of(size_t piece) const {
  return piece + 1 < pieces_.size() ? pieces_[piece + 1].from : used_;
}

// A connection that breaks at it asks for its bytes to be sent again: they are nobody's by then.
void SendGather::send(size_t piece) {
  Owner* const owner = std::exchange(pieces_[piece].owner, nullptr);
  if (owner == nullptr) return;
  const size_t from = pieces_[piece].from;
  owner->send_gathered({buffer_.data() + from, end_of(piece) - from});
}

}  // namespace latchkey::edge
