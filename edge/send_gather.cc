#include "edge/send_gather.h"

#include <cstring>
#include <utility>

namespace latchkey::edge {

SendGather::SendGather(uv_loop_t& loop) : turn_end_(loop, [this] { flush(); }) {}

void SendGather::append(Owner& owner, std::string_view bytes) {
  if (owner_ != &owner || used_ + bytes.size() > kCapacity) flush();
  if (bytes.size() > kCapacity) {
    owner.send_gathered(bytes);
    return;
  }
  owner_ = &owner;
  std::memcpy(buffer_.data() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
}

void SendGather::flush() {
  if (owner_ == nullptr) return;
  Owner& owner = *std::exchange(owner_, nullptr);
  owner.send_gathered(std::string_view(buffer_.data(), std::exchange(used_, 0)));
}

}  // namespace latchkey::edge
