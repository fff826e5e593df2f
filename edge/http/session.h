#pragma once
#include "base/clock.h"
#include "edge/http/http1_syntax.h"
#include "edge/http/protection_counts.h"
#include "edge/http/rest_ring.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// Of HTTP/2. What a client announces or does beyond them ends its stream or its connection.
struct Http2Limits {
  uint32_t streams = 128;               // at once
  uint32_t stream_window = 256 << 10;   // of a request's body that nobody has taken yet
  int32_t connection_window = 1 << 20;  // ... of all of a connection's
  size_t frames = 1000;                 // that serve no purpose (resets, pings, ...), at once
  size_t frames_per_second = 50;        // ... and in the long run
};

struct SessionLimits {
  Http1Limits http1;  // the sizes of heads and trailers in HTTP/2, too
  Http2Limits http2;
  Millis head_time{10'000};       // for a whole request head, from its first byte
  Millis idle_time{60'000};       // between requests, and without progress in a body
  Millis linger_time{2'000};      // for the client to read our last words
  Millis half_close_time{5'000};  // to answer a client that has closed its side
};

// What the sessions of one listener on one worker share.
struct SessionContext {
  Clock& clock;
  Serve serve;
  SessionLimits limits = {};
  ProtectionCounts& counts = ProtectionCounts::ignored();
  mutable RestRing rests{clock};  // its sessions between requests
};

// The server's side of one client's connection, whichever HTTP version it speaks. Worker thread.
class HttpSession : protected RestRing::Member {
 public:
  virtual ~HttpSession() = default;

  // Ends after the exchanges in progress. May call on_end at once.
  virtual void drain() = 0;
  // Answers one more request, and ends then: for a client that has come just before the end.
  virtual void drain_after_next() = 0;
  // The client hears that it is to end the connection, with time to heed it: no request that is on
  // its way is lost.
  virtual void drain_gently() = 0;
};

}  // namespace latchkey::edge
