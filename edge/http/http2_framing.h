#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "edge/http/header_list.h"
#include "edge/http/outbox.h"
#include "edge/http/session.h"

struct nghttp2_session;

namespace latchkey::edge {

// Frames and header compression of one side of an HTTP/2 connection (RFC 9113, 7541), by nghttp2:
// bytes in, events out, and the other way. It knows what a stream is, not what it is for.
// Knows no clock and does no I/O. Worker thread.
class Http2Framing {
 public:
  using StreamId = int32_t;
  enum class Role { kServer, kClient };
  // How a stream ended.
  enum class Closed {
    kDone,     // both sides have said all, or ours has reset it
    kRefused,  // the peer has done nothing of it (RFC 9113, 8.7)
    kReset,    // by the peer, or with the connection
  };

  // What is ready to be sent of a message's body.
  struct BodyReady {
    size_t bytes = 0;
    bool last = false;                     // nothing comes behind it but...
    const HeaderList* trailers = nullptr;  // null: none
  };

  // Called from within receive() and send(), and not to destroy the framing.
  class Events {
   public:
    // A head's fields, or those of trailers, begin, come one by one, and are whole. To a client
    // only ":status" tells the two apart.
    virtual void on_head_begin(StreamId id, bool trailers) = 0;
    // False: it is so large that no more of it is looked at; the stream is reset.
    virtual bool on_field(StreamId id, std::string_view name, std::string_view value) = 0;
    virtual void on_head(StreamId id, bool trailers, bool message_ends) = 0;
    // They count against both windows until consume() is called for them.
    virtual void on_data(StreamId id, std::string_view bytes) = 0;
    virtual void on_message_end(StreamId id) = 0;         // of the peer's
    virtual void on_closed(StreamId id, Closed how) = 0;  // comes last, and once
    virtual BodyReady body_ready(StreamId id, size_t at_most) = 0;
    virtual void move_body(StreamId id, size_t bytes, Outbox& out) = 0;  // of what was ready
    virtual void on_message_sent(StreamId id) = 0;                       // ours
    // A frame that serves no purpose. Bounded by who counts them.
    virtual void on_idle_frame(IdleFrame kind) = 0;
    // The peer was told of an error: the connection ends.
    virtual void on_broken() = 0;

   protected:
    ~Events() = default;
  };

  Http2Framing(Role role, const SessionLimits& limits, Events& events);
  ~Http2Framing();
  Http2Framing(const Http2Framing&) = delete;

  // False: the connection is beyond saying anything more.
  bool receive(std::string_view bytes);
  // Whatever is to be said, as long as `out` is not full. False as above.
  bool send(Outbox& out);
  // Neither side has anything to say any more; a GOAWAY of ours has been sent where it is due.
  bool over() const;
  // The peer's SETTINGS have come, and a client's preface.
  bool greeted() const { return greeted_; }

  // Answers. A stream that is gone is no error.
  void interim(StreamId id, int status, const HeaderList& headers);
  // `more`: fields behind those of `headers`.
  void respond(StreamId id, int status, const HeaderList& headers,
               std::span<const HeaderList::Field> more, bool has_body);
  void resume(StreamId id);  // body_ready() has something now
  enum class Reset { kNoError, kInternalError, kCancel, kRefused };
  void reset(StreamId id, Reset why);
  // Of on_data: the peer may send as much more; on the whole connection, or on the stream, only.
  void consume(StreamId id, size_t bytes);
  void consume_connection(size_t bytes);
  void consume_stream(StreamId id, size_t bytes);

  // A client's: pseudo-header fields first. Negative: this connection opens no streams any more.
  StreamId request(const HeaderList& fields, bool has_body);
  bool may_request() const;
  size_t max_streams() const;  // that the peer takes at once

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
