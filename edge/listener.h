#pragma once
#include <sys/socket.h>
#include <uv.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/poller.h"
#include "base/result.h"

namespace latchkey::edge {

// An address to listen on: "0.0.0.0:443", "[::]:443", "127.0.0.1:0".
struct ListenAddress {
  std::string host;  // numeric, without brackets; in its one canonical spelling
  int port = 0;

  static Result<ListenAddress> parse(const std::string& text);
  // REQUIRES: one of IPv4 or IPv6.
  static ListenAddress of(const sockaddr_storage& address);
  std::string text() const;
};

// A bound socket with SO_REUSEPORT (several may share an address: the kernel spreads connections
// over those that listen), non-blocking, close-on-exec. Port 0 is replaced by the real one.
Result<int> bind_listener(ListenAddress& address);
// From then on connections come to it, and wait there until they are accepted. One that listens
// already stays as it is.
Result<> start_listening(int fd);
// Both.
Result<int> open_listener(ListenAddress& address);

// Accepts on one such socket. Out of descriptors, or told that there is no room, it pauses instead
// of spinning. Worker thread.
class Listener : private SocketWatch::Owner {
 public:
  struct Callbacks {
    std::function<bool()> room;                                   // may another one come in?
    std::function<void(int fd, std::string peer)> on_connection;  // takes the descriptor
  };

  // Takes the descriptor.
  Listener(uv_loop_t& loop, Clock& clock, Log& log, int fd, Callbacks callbacks);
  virtual ~Listener();
  Listener(const Listener&) = delete;

 private:
  void pause();
  void on_socket(uint8_t ready) override;

  Clock& clock_;
  Log& log_;
  const int fd_;
  const Callbacks callbacks_;
  SocketWatch watch_;
  Alarm resume_;
  TimePoint complaint_at_ = TimePoint::min();  // the next one of no descriptors
};

}  // namespace latchkey::edge
