#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "edge/http/header_list.h"
#include "edge/http/outbox.h"
#include "edge/http/session.h"

struct nghttp2_session;

namespace latchkey::edge {

// Frames and header compression of the server's side of an HTTP/2 connection (RFC 9113, 7541), by
// nghttp2: bytes in, events out, and the other way. It knows what a stream is, not what it is for.
// Knows no clock and does no I/O. Worker thread.
class Http2Framing {
 public:
  using StreamId = int32_t;

  // What is ready to be sent of a response's body.
  struct BodyReady {
    size_t bytes = 0;
    bool last = false;                     // nothing comes behind it but...
    const HeaderList* trailers = nullptr;  // null: none
  };

  // Called from within receive() and send(), and not to destroy the framing.
  class Events {
   public:
    // A request's fields, or its trailers', begin, come one by one, and are whole.
    virtual void on_head_begin(StreamId id, bool trailers) = 0;
    // False: it is so large that no more of it is looked at; the stream is reset.
    virtual bool on_field(StreamId id, std::string_view name, std::string_view value) = 0;
    virtual void on_head(StreamId id, bool trailers, bool request_ends) = 0;
    // They count against both windows until consume() is called for them.
    virtual void on_data(StreamId id, std::string_view bytes) = 0;
    virtual void on_request_end(StreamId id) = 0;
    virtual void on_closed(StreamId id) = 0;  // whoever closed it; comes last, and once
    virtual BodyReady body_ready(StreamId id, size_t at_most) = 0;
    virtual void move_body(StreamId id, size_t bytes, Outbox& out) = 0;  // of what was ready
    virtual void on_response_sent(StreamId id) = 0;
    // A frame that serves no purpose. Bounded by who counts them.
    virtual void on_idle_frame(IdleFrame kind) = 0;
    // The client was told of an error: the connection ends.
    virtual void on_broken() = 0;

   protected:
    ~Events() = default;
  };

  Http2Framing(const SessionLimits& limits, Events& events);
  ~Http2Framing();
  Http2Framing(const Http2Framing&) = delete;

  // False: the connection is beyond saying anything more.
  bool receive(std::string_view bytes);
  // Whatever is to be said, as long as `out` is not full. False as above.
  bool send(Outbox& out);
  // Neither side has anything to say any more; a GOAWAY of ours has been sent where it is due.
  bool over() const;
  // The client's preface and SETTINGS have come.
  bool greeted() const { return greeted_; }

  // Answers. A stream that is gone is no error.
  void interim(StreamId id, int status, const HeaderList& headers);
  void respond(StreamId id, int status, const HeaderList& headers, bool has_body);
  void resume(StreamId id);  // body_ready() has something now
  enum class Reset { kNoError, kInternalError, kCancel, kRefused };
  void reset(StreamId id, Reset why);
  // Of on_data: the client may send as much more.
  void consume(StreamId id, size_t bytes);

  // Streams that come from now on may be refused soon (RFC 9113, 6.8).
  void announce_end();
  // None is taken any more.
  void refuse_streams();
  void refuse_connection();  // ENHANCE_YOUR_CALM: the end

 private:
  struct Callbacks;

  struct Deleter {
    void operator()(nghttp2_session* session) const;
  };

  Events& events_;
  std::unique_ptr<nghttp2_session, Deleter> session_;
  Outbox* out_ = nullptr;  // within send()
  bool greeted_ = false;
};

}  // namespace latchkey::edge
