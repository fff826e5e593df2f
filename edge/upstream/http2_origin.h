#pragma once
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "edge/http/http2_framing.h"
#include "edge/http/outbox.h"
#include "edge/transport.h"
#include "edge/upstream/http2_origin_stream.h"

namespace latchkey::edge {

// One HTTP/2 connection to an upstream, the client's side, shared by the requests that go there.
// What is to be sent leaves at the loop's next turn, all streams' together. Held by the pool and by
// its streams. Worker thread.
class Http2Origin final : public std::enable_shared_from_this<Http2Origin>,
                          private Http2OriginStream::Owner,
                          private Transport::Events,
                          private Http2Framing::Events {
 public:
  Http2Origin(std::unique_ptr<Transport> transport, Clock& clock, EndpointPtr endpoint);
  ~Http2Origin();
  Http2Origin(const Http2Origin&) = delete;

  // Takes one more request now.
  bool has_room() const;
  // REQUIRES: has_room().
  std::unique_ptr<OriginStream> open();
  size_t streams() const { return open_; }
  TimePoint idle_since() const { return idle_since_; }
  // Called once, when it takes no more requests. May drop its holder's share.
  void on_over(std::function<void()> over) { over_ = std::move(over); }

 private:
  using StreamId = Http2Framing::StreamId;

  Http2OriginStream* find(StreamId id);
  void fail(const std::string& why);
  void pump();
  void settle();
  void due(StreamId id);
  void update_interest();

  // Http2OriginStream::Owner
  Http2Framing& framing() override { return framing_; }
  const Endpoint& endpoint() const override { return *endpoint_; }
  void add(StreamId id, Http2OriginStream& stream) override;
  void remove(Http2OriginStream& stream, StreamId id, bool unheard) override;
  void send_soon() override;
  uint64_t heard() const override { return heard_; }
  TimePoint now() const override { return clock_.now(); }

  void on_readable() override;
  void on_writable() override;

  void on_head_begin(StreamId id, bool trailers) override;
  bool on_field(StreamId id, std::string_view name, std::string_view value) override;
  void on_head(StreamId id, bool trailers, bool message_ends) override;
  void on_data(StreamId id, std::string_view bytes) override;
  void on_message_end(StreamId id) override;
  void on_closed(StreamId id, Http2Framing::Closed how) override;
  Http2Framing::BodyReady body_ready(StreamId id, size_t at_most) override;
  void move_body(StreamId id, size_t bytes, Outbox& out) override;
  void on_message_sent(StreamId) override {}
  void on_idle_frame(IdleFrame) override {}
  void on_broken() override {}

  const std::unique_ptr<Transport> transport_;
  Clock& clock_;
  const EndpointPtr endpoint_;
  Http2Framing framing_;
  Outbox out_;
  std::unordered_map<StreamId, Http2OriginStream*> streams_;
  std::vector<StreamId> due_;  // have something to be told; <= a few for each frame of one round
  std::function<void()> over_;
  size_t open_ = 0;     // streams, also those that have not begun
  uint64_t heard_ = 0;  // bytes of the upstream's
  TimePoint idle_since_;
  unsigned requests_ = 0;
  bool wants_to_send_ = true;  // the preface
  bool broken_ = false;
  bool suspect_ = false;  // a request waited in vain, and nothing was heard meanwhile
};

}  // namespace latchkey::edge
