#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "edge/plain_socket.h"
#include "edge/upstream/client_tls_socket.h"
#include "edge/upstream/endpoint.h"

namespace latchkey::edge {

// A connection to an upstream being made: TCP, the PROXY header if one is sent, TLS. Destroying it
// gives up.
class Connector {
 public:
  struct Connected {
    std::unique_ptr<Transport> transport;
    bool http2 = false;  // what is to be spoken on it
  };
  using Done = std::function<void(Result<Connected>)>;

  // Calls `done` once, from the loop; it may destroy this. `limit` is for all of it. Errors are
  // kTimeout, kIo, or kThrottled (we are out of descriptors), and name the endpoint. `greeting`
  // goes before everything else.
  Connector(uv_loop_t& loop, Clock& clock, EndpointPtr endpoint, std::string greeting, Millis limit,
            Done done);
  Connector(const Connector&) = delete;

 private:
  void on_dial(Result<std::unique_ptr<PlainSocket>> socket);
  void report(Result<Connected> result);

  Clock& clock_;
  const EndpointPtr endpoint_;
  const std::string greeting_;  // <= 216 bytes: a fresh socket takes it whole
  Done done_;
  Alarm limit_;
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<ClientTlsSocket> tls_;
};

}  // namespace latchkey::edge
