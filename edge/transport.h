#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace latchkey::edge {

// A non-blocking byte stream on a worker's loop: TlsSession towards clients, PlainSocket on port 80
// and towards upstreams. The HTTP code above knows only this. Worker thread.
//
// Level-triggered: while reading is wanted, on_readable comes as long as bytes (or the end) wait,
// bytes inside a TLS library's buffer included. Events come from the loop, never from within a
// call to us. Any event may destroy the transport.
class Transport {
 public:
  class Events {
   public:
    virtual void on_readable() = 0;  // read() will not say kAgain
    virtual void on_writable() = 0;  // write() will take something
    virtual void on_turn_end() {}    // see ask_turn_end()
    virtual void on_hangup() {}      // see TlsSession::watch_hangup()
   protected:
    ~Events() = default;
  };

  enum class Io {
    kDone,   // `bytes` (> 0) were moved
    kAgain,  // not now: wait for the event
    kEnd,    // read: the peer closed its side, properly (TLS: close_notify)
    kError,  // the connection is broken (error() says how); only to be dropped
  };
  struct Moved {
    Io io;
    size_t bytes;
  };

  virtual ~Transport() = default;

  // Null for none. Who sets it takes care to unset it before it goes.
  virtual void set_events(Events* events) = 0;
  virtual void want(bool read, bool write) = 0;

  virtual Moved read(std::span<char> into) = 0;
  // May take a part. What was taken is sent without further ado, at the end of the loop's turn at
  // the latest.
  virtual Moved write(std::string_view bytes) = 0;
  // on_turn_end comes once, when what the loop has brought in this turn is dealt with: who writes
  // then writes in one piece what many have said. False: there are no turns here.
  virtual bool ask_turn_end() { return false; }
  // No more writes; the peer is told once all that was taken is sent.
  virtual void finish_writing() = 0;
  // Bytes taken and not yet handed to the kernel: 0 means that closing loses nothing of ours.
  virtual size_t unsent() const = 0;

  virtual std::string error() const = 0;
};

}  // namespace latchkey::edge
