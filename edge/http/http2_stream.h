#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "edge/http/body_queue.h"
#include "edge/http/http2_framing.h"
#include "edge/http/http2_request.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// One request on an HTTP/2 connection, and its response. What the client sends is passed on as it
// comes while the exchange takes it, and kept (within the stream's window) while it does not; what
// the exchange says is kept until the client's windows have room. Owned by its session.
class Http2Stream final : public ResponseStream {
 public:
  class Owner {
   public:
    virtual Http2Framing& framing() = 0;
    virtual const SessionContext& context() const = 0;
    virtual const ClientInfo& client() const = 0;
    // settle() is to be called: soon, or at once where nothing else is under way.
    virtual void on_due(Http2Stream& stream, bool at_once) = 0;
    // What streams have said is to be written: with what else comes in this turn, or now.
    virtual void flush() = 0;
    virtual void flush_now() = 0;
    // Bytes that all its streams keep for the client.
    virtual size_t& kept() = 0;

   protected:
    ~Owner() = default;
  };

  Http2Stream(Owner& owner, Http2Framing::StreamId id);
  ~Http2Stream();
  Http2Stream(const Http2Stream&) = delete;

  Http2Framing::StreamId id() const { return id_; }

  // From the framing.
  // False: the head is so large that no more of it is wanted.
  bool take_field(std::string_view name, std::string_view value);
  void take_head(bool request_ends);
  void take_data(std::string_view bytes);
  void take_end();
  Http2Framing::BodyReady body_ready(size_t at_most) const;
  void move_body(size_t bytes, Outbox& out);
  void response_sent();
  void closed();

  // Does what became due. Not from within a call of the exchange.
  void settle();
  // When the client must have done what we wait for; far away when we wait for the exchange.
  TimePoint deadline() const;
  // It has not.
  void give_up();

  // ResponseStream
  const ClientInfo& client() const override { return owner_.client(); }
  void send_interim(const ResponseHead& head) override;
  void send_head(const ResponseHead& head) override;
  void send_body(std::string_view bytes) override;
  void flush() override { owner_.flush(); }
  bool full() override;
  void finish(const HeaderList& trailers) override;
  void reset() override;
  void pause_body() override { paused_ = true; }
  void resume_body() override;

 private:
  enum class Answer { kNone, kBody, kDone };

  void refuse(const Refusal& why);
  void start();
  void respond(int status, const HeaderList& headers, std::span<const HeaderList::Field> more,
               bool has_body);
  void deliver();
  void drop_exchange();
  bool owes_room() const;
  bool is_told() const;  // nothing more of the request interests the exchange

  Owner& owner_;
  const Http2Framing::StreamId id_;
  std::optional<Http2Request> request_;  // while its fields come
  std::unique_ptr<Exchange> exchange_;
  std::string held_;  // of the request's body, while paused: within the stream's window
  BodyQueue out_;     // of the response's body: 64 KiB and one piece
  HeaderList trailers_, response_trailers_;
  size_t trailers_size_ = 0;
  Body body_;  // of the response
  uint64_t body_left_ = 0;
  TimePoint progress_;  // the last time that the client did something for it
  Answer answer_ = Answer::kNone;
  bool websocket_ = false;  // the request wants to become one
  bool tunnel_ = false;     // it is one
  bool head_request_ = false;
  bool bodiless_ = false;
  bool starting_ = false;  // the exchange was not told to start yet
  bool expects_ = false;   // waits for a 100 that was not sent
  bool paused_ = false;
  bool ended_ = false;       // the client has sent all
  bool told_end_ = false;    // ... and the exchange knows
  bool was_full_ = false;    // full() said so: on_writable() is owed
  bool eager_ = false;       // some of it was written before the turn's end
  bool more_comes_ = false;  // in this turn: a part of a frame waits for it
  bool sent_all_ = false;
  bool closed_ = false;
  bool aborted_ = false;
};

}  // namespace latchkey::edge
