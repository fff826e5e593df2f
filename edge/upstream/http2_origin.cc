#include "edge/upstream/http2_origin.h"

#include <utility>
#include <vector>

#include "edge/http/read_buffer.h"

namespace latchkey::edge {
namespace {

SessionLimits limits() {
  SessionLimits limits;
  limits.http2.connection_window = 4 << 20;
  return limits;
}

// Of the streams that we put on one connection, whatever more it would take.
constexpr size_t kMaxStreams = 256;

}  // namespace

Http2Origin::Http2Origin(std::unique_ptr<Transport> transport, Clock& clock, EndpointPtr endpoint)
    : transport_(std::move(transport)),
      clock_(clock),
      endpoint_(std::move(endpoint)),
      framing_(Http2Framing::Role::kClient, limits(), *this),
      out_(*transport_),
      idle_since_(clock.now()) {
  transport_->set_events(this);
  update_interest();
}

Http2Origin::~Http2Origin() {
  if (!broken_) {
    framing_.refuse_streams();  // GOAWAY: a proper end
    framing_.send(out_);
    out_.flush();
  }
  transport_->set_events(nullptr);
}

bool Http2Origin::has_room() const {
  return !broken_ && !suspect_ && framing_.may_request() &&
         open_ < std::min(kMaxStreams, framing_.max_streams());
}

std::unique_ptr<OriginStream> Http2Origin::open() {
  ++open_;
  const std::shared_ptr<Http2OriginStream::Owner> self(shared_from_this(), this);
  return std::make_unique<Http2OriginStream>(self, requests_++ > 0);
}

void Http2Origin::add(StreamId id, Http2OriginStream& stream) {
  streams_[id] = &stream;
}

void Http2Origin::remove(Http2OriginStream& stream, StreamId id, bool unheard) {
  const auto found = streams_.find(id);
  if (found != streams_.end() && found->second == &stream) streams_.erase(found);
  suspect_ = suspect_ || unheard;
  if (--open_ > 0) return;
  idle_since_ = clock_.now();
  if (suspect_ && over_ != nullptr) std::exchange(over_, nullptr)();  // `stream` still holds us
}

Http2OriginStream* Http2Origin::find(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

void Http2Origin::send_soon() {
  wants_to_send_ = true;
  update_interest();
}

void Http2Origin::update_interest() {
  if (!broken_) transport_->want(true, wants_to_send_ || !out_.empty());
}

void Http2Origin::on_readable() {
  const auto self = shared_from_this();
  const auto buffer = read_buffer();
  const auto moved = transport_->read(buffer);
  switch (moved.io) {
    case Transport::Io::kAgain:
      return;
    case Transport::Io::kError:
      return fail(transport_->error());
    case Transport::Io::kEnd:
      return fail("the connection was closed");
    case Transport::Io::kDone:
      break;
  }
  heard_ += moved.bytes;
  suspect_ = false;
  if (!framing_.receive({buffer.data(), moved.bytes})) return fail("not HTTP/2");
  pump();
}

void Http2Origin::on_writable() {
  const auto self = shared_from_this();
  wants_to_send_ = false;
  out_.flush();
  pump();
}

void Http2Origin::pump() {
  if (!framing_.send(out_)) return fail("HTTP/2 broke down");
  const bool more = out_.full();  // it stopped there
  out_.flush();
  if (out_.broken()) return fail(transport_->error());
  wants_to_send_ = more;
  settle();
  if (framing_.over() || (!framing_.may_request() && open_ == 0)) {
    return fail("the upstream has ended the connection");
  }
  if (!framing_.may_request() && over_ != nullptr) std::exchange(over_, nullptr)();
  update_interest();
}

// What streams are to be told once nothing else is on the stack; any of it may end any of them.
void Http2Origin::settle() {
  for (const StreamId id : std::exchange(due_, {})) {
    if (Http2OriginStream* stream = find(id); stream != nullptr && stream->owes_pause()) {
      stream->tell_pause();
    }
    if (Http2OriginStream* stream = find(id); stream != nullptr && stream->owes_writable()) {
      stream->tell_writable();
    }
  }
}

void Http2Origin::fail(const std::string& why) {
  if (std::exchange(broken_, true)) return;
  transport_->want(false, false);
  while (!streams_.empty()) {
    const auto [id, stream] = *streams_.begin();
    streams_.erase(streams_.begin());
    stream->closed(Http2Framing::Closed::kReset, why);
  }
  if (over_ != nullptr) std::exchange(over_, nullptr)();
}

void Http2Origin::on_head_begin(StreamId, bool) {}

bool Http2Origin::on_field(StreamId id, std::string_view name, std::string_view value) {
  auto* const stream = find(id);
  return stream == nullptr || stream->take_field(name, value);
}

void Http2Origin::on_head(StreamId id, bool, bool message_ends) {
  if (auto* stream = find(id)) stream->take_head(message_ends);
}

void Http2Origin::on_data(StreamId id, std::string_view bytes) {
  due(id);
  if (auto* stream = find(id)) return stream->take_data(bytes);
  framing_.consume_connection(bytes.size());
}

void Http2Origin::on_message_end(StreamId id) {
  if (auto* stream = find(id)) stream->take_end();
}

void Http2Origin::on_closed(StreamId id, Http2Framing::Closed how) {
  auto* const stream = find(id);
  if (stream == nullptr) return;
  streams_.erase(id);
  stream->closed(how, how == Http2Framing::Closed::kRefused ? "the upstream refused the request"
                                                            : "the upstream reset the stream");
}

Http2Framing::BodyReady Http2Origin::body_ready(StreamId id, size_t at_most) {
  const auto* const stream = find(id);
  return stream == nullptr ? Http2Framing::BodyReady{.last = true} : stream->body_ready(at_most);
}

void Http2Origin::move_body(StreamId id, size_t bytes, Outbox& out) {
  if (auto* stream = find(id)) stream->move_body(bytes, out);
  due(id);
}

void Http2Origin::due(StreamId id) {
  if (due_.empty() || due_.back() != id) due_.push_back(id);
}

}  // namespace latchkey::edge
