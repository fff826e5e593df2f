#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace latchkey::bench {

// One connection of serve(): its socket does not block, and is watched edge-triggered, so an event
// that is not used up is not told again.
class ServedConnection {
 public:
  enum class Next {
    kRead,   // the next event is input
    kWrite,  // the kernel's buffer is full: come again when it is not
    kEnd,    // destroy this
  };

  // Takes the descriptor.
  explicit ServedConnection(int fd) : fd_(fd) {}
  virtual ~ServedConnection();
  ServedConnection(const ServedConnection&) = delete;

  virtual Next on_event(uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLRDHUP, …
  int fd() const { return fd_; }

 private:
  friend class EpollServer;
  const int fd_;
  bool watched_for_room_ = false;
};

using MakeConnection = std::function<std::unique_ptr<ServedConnection>(int fd)>;

// Listens on `address` ("127.0.0.1:8443"; port 0: any free one), says "listening on ADDRESS" on
// stdout, and serves, in this thread alone, until SIGTERM or SIGINT. As cheap as a server can be
// that keeps to the rules: it has no timeouts. Errors: an address that is none, or is taken.
Result<> serve(const std::string& address, const MakeConnection& make);

}  // namespace latchkey::bench
