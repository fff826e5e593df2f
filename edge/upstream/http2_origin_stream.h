#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "edge/http/body_queue.h"
#include "edge/http/http2_framing.h"
#include "edge/upstream/origin_stream.h"

namespace latchkey::edge {

// One request on a shared HTTP/2 connection to an upstream.
class Http2OriginStream final : public OriginStream {
 public:
  class Owner {
   public:
    virtual Http2Framing& framing() = 0;
    virtual const Endpoint& endpoint() const = 0;
    virtual void add(Http2Framing::StreamId id, Http2OriginStream& stream) = 0;
    // `unheard`: it waited for a response for a while, and the upstream said nothing at all.
    virtual void remove(Http2OriginStream& stream, Http2Framing::StreamId id, bool unheard) = 0;
    virtual void send_soon() = 0;
    virtual uint64_t heard() const = 0;
    virtual TimePoint now() const = 0;

   protected:
    ~Owner() = default;
  };

  // Holds its owner.
  Http2OriginStream(std::shared_ptr<Owner> owner, bool reused);
  ~Http2OriginStream() override;

  const Endpoint& endpoint() const override { return owner_->endpoint(); }
  void send_head(Handler& handler, const RequestHead& head) override;
  void send_body(std::string_view bytes) override;
  void finish_request(const HeaderList& trailers) override;
  void finish_tunnel() override;
  bool full() override;
  void pause_response() override { paused_ = true; }
  void resume_response() override;
  bool reused() const override { return reused_; }
  bool tells_untouched() const override { return true; }
  bool reusable() const override { return false; }

  // From the framing. Those that may destroy the stream are its last calls.
  // False: the head is too large; the stream is reset.
  bool take_field(std::string_view name, std::string_view value);
  void take_head(bool message_ends);
  void take_data(std::string_view bytes);
  void take_end();
  void closed(Http2Framing::Closed how, const std::string& why);
  Http2Framing::BodyReady body_ready(size_t at_most) const;
  void move_body(size_t bytes, Outbox& out);
  // After a round of reading or writing; each may destroy it.
  void tell_pause();
  void tell_writable();
  bool owes_writable() const { return was_full_ && out_.size() < Outbox::kFull / 4; }
  bool owes_pause() const { return delivered_; }

 private:
  void refuse(const char* why);
  bool read_status();

  const std::shared_ptr<Owner> owner_;
  const bool reused_;
  Http2Framing::StreamId id_ = -1;
  Handler* handler_ = nullptr;
  std::string why_not_;  // the request could not be sent
  BodyQueue out_;        // of the request's body: 64 KiB and one piece
  HeaderList request_trailers_;
  std::string status_;
  HeaderList fields_;       // of the head or the trailers that come
  size_t fields_size_ = 0;  // <= kMaxHead
  size_t held_ = 0;         // bytes delivered while paused: the stream's window is not refilled
  uint64_t heard_at_ = 0;
  TimePoint sent_at_{};
  std::string websocket_key_;  // of an HTTP/1.1 handshake
  unsigned interims_ = 0;
  bool head_request_ = false;
  bool upgrade_ = false;
  bool tunnel_ = false;
  bool finished_ = false;  // our side
  bool answering_ = false;
  bool done_ = false;    // the response is whole
  bool closed_ = false;  // by the framing
  bool paused_ = false;
  bool was_full_ = false;
  bool delivered_ = false;  // since the last tell_pause()
};

}  // namespace latchkey::edge
