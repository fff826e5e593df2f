#pragma once
#include <uv.h>

#include <memory>
#include <string_view>
#include <vector>

#include "base/poller.h"

namespace latchkey::edge {

// A worker's one buffer in which TLS records are gathered, so that several go out in one send:
// when it is full, when another connection writes, and before the loop waits. One connection at a
// time has bytes in it; an idle connection owns no buffer at all. Worker thread.
class SendGather {
 public:
  class Owner {
   public:
    // The bytes are to be sent, or kept, now.
    virtual void send_gathered(std::string_view bytes) = 0;

   protected:
    ~Owner() = default;
  };

  explicit SendGather(uv_loop_t& loop);
  SendGather(const SendGather&) = delete;

  void append(Owner& owner, std::string_view bytes);
  void flush();
  void flush_if_owned_by(const Owner& owner) {
    if (owner_ == &owner) flush();
  }
  size_t gathered_for(const Owner& owner) const { return owner_ == &owner ? used_ : 0; }

 private:
  // More at a time costs a long body a fifth more CPU: the kernel takes a part, and the rest is
  // kept.
  static constexpr size_t kCapacity = 64 << 10;

  std::vector<char> buffer_ = std::vector<char>(kCapacity);
  size_t used_ = 0;
  Owner* owner_ = nullptr;
  Poller::TurnEnd turn_end_;
};

}  // namespace latchkey::edge
