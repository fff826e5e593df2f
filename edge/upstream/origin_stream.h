#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "edge/http/message.h"
#include "edge/upstream/endpoint.h"

namespace latchkey::edge {

// Why a request got no (whole) response.
struct OriginFailure {
  std::string why;
  bool began = false;      // something of the response had come
  bool untouched = false;  // the upstream says that it has done nothing of the request
};

// One request to an upstream, on a connection of either HTTP version; its response comes by
// events. Worker thread.
class OriginStream {
 public:
  // Events come from the loop, never from within a call to the stream. Each may destroy it.
  class Handler {
   public:
    virtual void on_response_interim(const ResponseHead& head) = 0;
    virtual void on_response_head(ResponseHead& head) = 0;
    virtual void on_response_body(std::string_view bytes) = 0;
    virtual void on_response_end(const HeaderList& trailers) = 0;
    virtual void on_response_pause() = 0;  // what was read is delivered: a time to flush
    virtual void on_request_writable() = 0;
    virtual void on_origin_failure(const OriginFailure& failure) = 0;  // only to be dropped

   protected:
    ~Handler() = default;
  };

  OriginStream() = default;
  virtual ~OriginStream() = default;
  OriginStream(const OriginStream&) = delete;

  virtual const Endpoint& endpoint() const = 0;

  // Begins a request. `head.body` says how its body goes; kUntilClose does not.
  virtual void send_head(Handler& handler, const RequestHead& head) = 0;
  virtual void send_body(std::string_view bytes) = 0;
  virtual void finish_request(const HeaderList& trailers) = 0;
  // After a 101: our side of the tunnel ends. (send_body() and on_response_body() carry it.)
  virtual void finish_tunnel() = 0;
  // 64 KiB wait to be sent: stop, on_request_writable() will come.
  virtual bool full() = 0;
  virtual void pause_response() = 0;
  virtual void resume_response() = 0;

  // Whether its connection had served a request before: the upstream may be closing it right now.
  virtual bool reused() const = 0;
  // Its failures say where nothing was done of the request (OriginFailure::untouched): HTTP/2.
  virtual bool tells_untouched() const = 0;
  // It may carry another request once this one is done: an HTTP/1.1 connection.
  virtual bool reusable() const = 0;
};

}  // namespace latchkey::edge
