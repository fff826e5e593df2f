#pragma once
#include <uv.h>

#include <memory>
#include <string_view>
#include <vector>

#include "base/poller.h"

namespace latchkey::edge {

// A worker's one buffer in which TLS records are gathered, so that what a turn of the loop has for
// a connection goes out in one send, and the sends of several connections one behind the other: who
// is woken by the first is still awake for the others, and each waking costs as much as a small
// response. They go when the buffer is full, when several connections wait, and before the loop
// waits; an idle connection owns no buffer at all. Worker thread.
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
  void flush_if_owned_by(const Owner& owner);
  size_t gathered_for(const Owner& owner) const;

 private:
  // What one connection has in the buffer, up to where the next one's begins.
  struct Piece {
    Owner* owner;  // null: it is sent
    size_t from;
  };
  // More at a time costs a long body a fifth more CPU: the kernel takes a part, and the rest is
  // kept.
  static constexpr size_t kCapacity = 36 << 10;
  // So much, or so many, and the next connection's bytes begin a new buffer: nobody waits long.
  static constexpr size_t kMuch = 16 << 10;
  static constexpr size_t kMany = 16;

  size_t find(const Owner& owner) const;
  size_t end_of(size_t piece) const;
  void send(size_t piece);

  std::vector<char> buffer_ = std::vector<char>(kCapacity);
  size_t used_ = 0;
  std::vector<Piece> pieces_;  // one for each connection at most
  Poller::TurnEnd turn_end_;
};

}  // namespace latchkey::edge
