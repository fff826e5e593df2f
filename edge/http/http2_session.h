#pragma once
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "edge/http/http2_framing.h"
#include "edge/http/http2_stream.h"
#include "edge/http/outbox.h"
#include "edge/http/session.h"
#include "edge/transport.h"

namespace latchkey::edge {

// The server's side of one HTTP/2 connection: an exchange for each stream. What a client may cost
// is bounded: streams, windows, heads, time, and the frames that serve no purpose (resets, pings,
// settings, empty ones, stream errors of its own; CVE-2023-44487, CVE-2025-8671 and the like).
// Worker thread.
//
// `on_end` comes once, as the last thing that a call or event does: the connection is to be closed,
// and the owner may destroy session and transport from there. Destroying the session earlier drops
// the exchanges. The transport must outlive it.
class Http2Session final : public HttpSession,
                           private Transport::Events,
                           private Http2Framing::Events,
                           public Http2Stream::Owner {
 public:
  Http2Session(Transport& transport, const SessionContext& context, ClientInfo client,
               std::function<void()> on_end);
  ~Http2Session() override;
  Http2Session(const Http2Session&) = delete;

  void drain() override;
  void drain_after_next() override { last_ = true; }
  void drain_gently() override;

 private:
  void announce_end();
  using StreamId = Http2Framing::StreamId;
  class Entry;

  void on_readable() override;
  void on_writable() override;
  void on_turn_end() override;

  void on_head_begin(StreamId id, bool trailers) override;
  bool on_field(StreamId id, std::string_view name, std::string_view value) override;
  void on_head(StreamId id, bool trailers, bool request_ends) override;
  void on_data(StreamId id, std::string_view bytes) override;
  void on_message_end(StreamId id) override;
  void on_closed(StreamId id, Http2Framing::Closed how) override;
  Http2Framing::BodyReady body_ready(StreamId id, size_t at_most) override;
  void move_body(StreamId id, size_t bytes, Outbox& out) override;
  void on_message_sent(StreamId id) override;
  void on_idle_frame(IdleFrame kind) override;
  void on_broken() override;

  Http2Framing& framing() override { return framing_; }
  const SessionContext& context() const override { return context_; }
  const ClientInfo& client() const override { return client_; }
  void on_due(Http2Stream& stream, bool at_once) override;
  void flush() override;
  void flush_now() override;
  size_t& kept() override { return kept_; }

  Http2Stream* find(StreamId id) const;
  void leave();
  void settle();
  void write();
  void end_when_done();
  void kick();
  void update_interest();
  void update_deadline();
  TimePoint deadline() const;
  void on_deadline();
  void on_rested() override { on_deadline(); }
  void give_up();

  Transport& transport_;
  const SessionContext& context_;
  ClientInfo client_;
  std::function<void()> on_end_;
  size_t kept_ = 0;  // by all streams for the client: 64 KiB and a piece for each, 16 when crowded
  Outbox out_;
  Http2Framing framing_;
  std::unordered_map<StreamId, std::unique_ptr<Http2Stream>> streams_;  // the limit of streams
  std::vector<std::unique_ptr<Http2Stream>> closed_;  // until nothing of theirs is on the stack
  std::vector<StreamId> due_;                         // settle() is
  std::vector<StreamId> settling_;                    // of due_, within settle()

  int depth_ = 0;           // calls of ours on the stack
  double idle_frames_ = 0;  // less what time has forgiven
  size_t discarded_ = 0;    // while lingering
  StreamId head_of_ = 0;    // whose head, or trailers, are being read; 0: nobody's
  bool broken_ = false;
  bool calm_ = false;  // the client was told to be: nothing of it counts any more
  bool last_ = false;  // one more request, then no more
  bool draining_ = false;
  bool refusing_ = false;  // no more streams
  bool lingering_ = false;
  bool read_ended_ = false;
  bool output_ended_ = false;
  bool over_ = false;  // on_end is due

  const TimePoint opened_;
  TimePoint progress_;    // the last time bytes moved
  TimePoint head_since_;  // when the head that is being read began
  TimePoint rest_since_;  // when the last stream closed
  TimePoint forgiven_;    // until when idle_frames_ is up to date
  TimePoint armed_{};     // when `timer_` fires, if it is set
  Alarm timer_;           // lazily moved, as is our place among those that rest
  Alarm kick_;            // does from the loop what a call made due
  Alarm notice_;          // between the two GOAWAYs of a drain
};

}  // namespace latchkey::edge
