#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "edge/http/http1_codec.h"
#include "edge/http/outbox.h"
#include "edge/http/session.h"
#include "edge/transport.h"

namespace latchkey::edge {

// The server's side of one HTTP/1.1 connection: reads requests one at a time (pipelined ones wait
// in a bounded buffer), makes an Exchange for each, writes its response. Worker thread.
//
// `on_end` comes once, as the last thing that a call or event does: the connection is to be closed,
// and the owner may destroy session and transport from there. Destroying the session earlier drops
// the exchange. The transport must outlive it.
class Http1Session final : public HttpSession, public ResponseStream, private Transport::Events {
 public:
  Http1Session(Transport& transport, const SessionContext& context, ClientInfo client,
               std::function<void()> on_end);
  ~Http1Session() override;
  Http1Session(const Http1Session&) = delete;

  void drain() override;
  void drain_after_next() override { last_ = true; }
  void drain_gently() override { last_ = true; }
  // Nothing in progress: no exchange, no part of a request.
  bool idle() const { return exchange_ == nullptr && in_.empty(); }

  const ClientInfo& client() const override { return client_; }
  void send_interim(const ResponseHead& head) override;
  void send_head(const ResponseHead& head) override;
  void send_body(std::string_view bytes) override;
  void flush() override;
  bool full() override;
  void finish(const HeaderList& trailers) override;
  void reset() override;
  void pause_body() override;
  void resume_body() override;

 private:
  enum class Phase { kHead, kBody, kDone };  // of what the client sends
  enum class Answer { kNone, kBody, kDone };
  class Entry;
  static constexpr size_t kMaxBuffered = 64 << 10;  // of in_, before reading stops

  void on_readable() override;
  void on_writable() override;
  void on_client_end();
  void take(std::string_view bytes);
  size_t process(std::string_view bytes);
  bool step(std::string_view& bytes);
  Http1RequestParser& parser();
  void give_back_parser();
  void begin_exchange();
  void refuse(int status, std::string_view why);
  bool settle();
  void begin_linger();
  void end_output();
  void leave();
  void kick();
  void note_output();
  bool owes_room() const;
  void tell_of_room();
  void update_interest();
  void update_deadline();
  TimePoint deadline() const;
  void on_deadline();
  void on_rested() override { on_deadline(); }
  bool resting() const;

  Transport& transport_;
  const SessionContext& context_;
  ClientInfo client_;
  std::function<void()> on_end_;
  std::unique_ptr<Exchange> exchange_;

  std::unique_ptr<Http1RequestParser> parser_;  // of the thread's; null: at rest
  std::string in_;  // read and not yet parsed: 64 KiB and one read at most
  Outbox out_;

  Phase phase_ = Phase::kHead;
  Answer answer_ = Answer::kNone;
  Body body_;                  // of the response
  uint64_t body_left_ = 0;     // with kLength
  uint32_t discarded_ = 0;     // of a body or while lingering; bounded by kMaxDiscard and a read
  int depth_ = 0;              // calls of ours on the stack
  bool keep_alive_ = true;     // after this exchange
  bool http10_ = false;        // the request is
  bool head_request_ = false;  // ... a HEAD
  bool expects_ = false;       // ... waits for a 100 that was not sent
  bool bodiless_ = false;      // the response carries no body
  bool tunnel_ = false;
  bool paused_ = false;       // by the exchange
  bool was_waiting_ = false;  // out_ was not empty when we last looked
  bool was_full_ = false;     // full() said so: on_writable() is owed
  bool draining_ = false;
  bool last_ = false;          // no keep-alive from now on
  bool lingering_ = false;     // all is said; waiting for the client to have read it
  bool read_ended_ = false;    // the client closed its side
  bool output_ended_ = false;  // the client was told that no more comes
  bool over_ = false;          // on_end is due

  TimePoint progress_;    // the last time bytes moved
  TimePoint head_since_;  // when the head in `in_` began
  TimePoint armed_{};     // when `timer_` fires, if it is set
  Alarm timer_;           // lazily moved, as is our place among those that rest
  Alarm kick_;            // continues from the loop what a call of the exchange made possible
};

}  // namespace latchkey::edge
