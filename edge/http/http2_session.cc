#include "edge/http/http2_session.h"

#include <algorithm>
#include <utility>

#include "edge/http/read_buffer.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxDiscard = 256 << 10;  // while lingering
constexpr Millis kNotice{500};             // for requests that are on their way when a drain begins
constexpr Millis kYouth{1000};             // of a connection
constexpr Millis kLook{5'000};             // how often streams are looked through for idle ones

}  // namespace

// Every event and every call that can end something makes one. The outermost does what became due
// when it leaves: so nothing is destroyed under the code that caused it.
class Http2Session::Entry {
 public:
  explicit Entry(Http2Session& session) : session_(session) { ++session_.depth_; }
  ~Entry() {
    if (session_.depth_ == 1) {
      session_.leave();
    } else {
      --session_.depth_;
    }
  }
  Entry(const Entry&) = delete;

 private:
  Http2Session& session_;
};

Http2Session::Http2Session(Transport& transport, const SessionContext& context, ClientInfo client,
                           std::function<void()> on_end)
    : transport_(transport),
      context_(context),
      client_(client),
      on_end_(std::move(on_end)),
      out_(transport),
      framing_(Http2Framing::Role::kServer, context.limits, *this),
      opened_(context.clock.now()),
      progress_(opened_),
      rest_since_(opened_),
      forgiven_(opened_) {
  transport_.set_events(this);
  kick();  // our SETTINGS
  update_interest();
}

Http2Session::~Http2Session() {
  transport_.set_events(nullptr);
  ++depth_;  // what exchanges say while they go is said to nobody
  closed_.clear();
  streams_.clear();
}

Http2Stream* Http2Session::find(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Http2Session::drain() {
  const Entry entry(*this);
  if (std::exchange(draining_, true) || refusing_) return;
  if (streams_.empty()) {
    refusing_ = true;
    return framing_.refuse_streams();
  }
  announce_end();
}

// A client that hears of the end before its first requests are out keeps them to itself, and not
// all of them know what to do then.
void Http2Session::drain_gently() {
  const Entry entry(*this);
  if (std::exchange(draining_, true) || refusing_) return;
  const Millis young = opened_ + kYouth - context_.clock.now();
  if (young <= Millis(0)) return announce_end();
  notice_ = context_.clock.after(young, [this] {
    const Entry announcing(*this);
    announce_end();
  });
}

void Http2Session::announce_end() {
  framing_.announce_end();
  notice_ = context_.clock.after(kNotice, [this] {
    const Entry end(*this);
    refusing_ = true;
    framing_.refuse_streams();
  });
}

// Does what is due, until nothing is. The last thing it does may be the end of the session.
void Http2Session::leave() {
  do {
    settle();
    write();
  } while (!over_ && (!due_.empty() || !closed_.empty()));
  end_when_done();
  depth_ = 0;
  if (over_) {
    depth_ = 1;  // as in the destructor
    kick_.reset();
    timer_.reset();
    leave_ring();
    notice_.reset();
    closed_.clear();
    streams_.clear();
    transport_.set_events(nullptr);
    depth_ = 0;
    if (on_end_) std::exchange(on_end_, nullptr)();
    return;
  }
  update_interest();
}

void Http2Session::settle() {
  while (!due_.empty()) {
    settling_.swap(due_);
    for (const StreamId id : settling_) {
      if (Http2Stream* const stream = find(id)) stream->settle();
    }
    settling_.clear();
  }
  closed_.clear();
}

void Http2Session::write() {
  if (over_ || out_.broken()) {
    over_ = true;
    return;
  }
  const size_t before = out_.size();
  for (bool more = true; more;) {
    if (!framing_.send(out_)) over_ = true;
    more = out_.full();  // it stopped there
    out_.flush();
    more = more && out_.empty() && !over_;  // the client has read meanwhile
  }
  if (out_.size() != before) progress_ = context_.clock.now();
  if (out_.broken()) over_ = true;
}

void Http2Session::end_when_done() {
  if (over_) return;
  const bool done = framing_.over() || (refusing_ && streams_.empty());
  if (!done || !out_.empty()) return;
  if (!std::exchange(lingering_, true)) progress_ = context_.clock.now();
  if (!std::exchange(output_ended_, true)) transport_.finish_writing();
  if (read_ended_ && transport_.unsent() == 0) over_ = true;
}

// ---- from the client

void Http2Session::on_readable() {
  const Entry entry(*this);
  const auto buffer = read_buffer();
  const auto moved = transport_.read(buffer);
  switch (moved.io) {
    case Transport::Io::kAgain:
      return;
    case Transport::Io::kError:
      over_ = true;
      return;
    case Transport::Io::kEnd:  // HTTP/2 has no half-closed connections
      read_ended_ = true;
      over_ = !lingering_ || transport_.unsent() == 0;
      return;
    case Transport::Io::kDone:
      break;
  }
  if (lingering_) {
    discarded_ += moved.bytes;
    over_ = discarded_ > kMaxDiscard;
    return;
  }
  progress_ = context_.clock.now();
  if (framing_.receive({buffer.data(), moved.bytes})) return;
  on_broken();
  over_ = true;
}

void Http2Session::on_head_begin(StreamId id, bool trailers) {
  head_of_ = id;
  head_since_ = context_.clock.now();
  if (!trailers) streams_.emplace(id, std::make_unique<Http2Stream>(*this, id));
}

bool Http2Session::on_field(StreamId id, std::string_view name, std::string_view value) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr || stream->take_field(name, value)) return true;
  context_.counts.large_heads.add();
  on_idle_frame(IdleFrame::kMadeReset);
  return false;
}

void Http2Session::on_head(StreamId id, bool trailers, bool request_ends) {
  head_of_ = 0;
  Http2Stream* const stream = find(id);
  if (stream == nullptr || trailers) return;
  if (std::exchange(last_, false)) {
    refusing_ = true;
    framing_.refuse_streams();
  }
  stream->take_head(request_ends);
}

void Http2Session::on_data(StreamId id, std::string_view bytes) {
  if (Http2Stream* const stream = find(id)) return stream->take_data(bytes);
  framing_.consume(id, bytes.size());
}

void Http2Session::on_message_end(StreamId id) {
  if (Http2Stream* const stream = find(id)) stream->take_end();
}

void Http2Session::on_closed(StreamId id, Http2Framing::Closed) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (head_of_ == id) head_of_ = 0;
  found->second->closed();
  closed_.push_back(std::move(found->second));
  streams_.erase(found);
  progress_ = rest_since_ = context_.clock.now();
}

// What a client does that costs us and leads to nothing: a bounded amount at once, and in time.
void Http2Session::on_idle_frame(IdleFrame kind) {
  context_.counts.of(kind).add();
  const Http2Limits& limits = context_.limits.http2;
  const TimePoint now = context_.clock.now();
  const double seconds = std::chrono::duration<double>(now - forgiven_).count();
  forgiven_ = now;
  idle_frames_ -= seconds * static_cast<double>(limits.frames_per_second);
  idle_frames_ = std::max(0.0, idle_frames_) + 1;
  if (idle_frames_ <= static_cast<double>(limits.frames) || std::exchange(calm_, true)) return;
  context_.counts.calmed.add();
  framing_.refuse_connection();
}

void Http2Session::on_broken() {
  if (!calm_ && !std::exchange(broken_, true)) context_.counts.broken.add();
}

// ---- to the client

Http2Framing::BodyReady Http2Session::body_ready(StreamId id, size_t at_most) {
  const Http2Stream* const stream = find(id);
  if (stream == nullptr) return {};
  return stream->body_ready(at_most);
}

void Http2Session::move_body(StreamId id, size_t bytes, Outbox& out) {
  if (Http2Stream* const stream = find(id)) stream->move_body(bytes, out);
}

void Http2Session::on_message_sent(StreamId id) {
  if (Http2Stream* const stream = find(id)) stream->response_sent();
}

void Http2Session::on_due(Http2Stream& stream, bool at_once) {
  due_.push_back(stream.id());
  if (depth_ > 0) return;
  if (transport_.ask_turn_end()) return;
  if (!at_once) return kick();
  const Entry entry(*this);
}

// Streams whose answers come in one turn of the loop share frames' records and a system call.
void Http2Session::flush() {
  if (depth_ > 0 || transport_.ask_turn_end()) return;
  flush_now();
}

void Http2Session::on_turn_end() {
  const Entry entry(*this);
}

void Http2Session::flush_now() {
  if (depth_ > 0) return;  // leaving does it
  if (out_.blocked()) return;
  depth_ = 1;
  write();
  depth_ = 0;
  if ((over_ || !due_.empty() || !closed_.empty()) && !transport_.ask_turn_end()) kick();
  update_interest();
}

void Http2Session::on_writable() {
  const Entry entry(*this);
  const size_t before = out_.size();
  out_.flush();
  if (out_.size() < before || lingering_) progress_ = context_.clock.now();
}

void Http2Session::kick() {
  if (kick_ != nullptr) return;
  kick_ = context_.clock.after(Millis(0), [this] {
    const Alarm fired = std::move(kick_);
    const Entry entry(*this);
  });
}

// ---- what we wait for

void Http2Session::update_interest() {
  // A client that does not read what it has asked for is not heard.
  const bool read = !read_ended_ && (lingering_ || !out_.full());
  const bool unsent = lingering_ && (read_ended_ || transport_.unsent() > 0);
  transport_.want(read, !out_.empty() || unsent);
  if (streams_.empty() && out_.empty()) out_.release();
  update_deadline();
}

TimePoint Http2Session::deadline() const {
  const SessionLimits& limits = context_.limits;
  if (lingering_ && out_.empty()) {
    return progress_ + (transport_.unsent() > 0 ? limits.idle_time : limits.linger_time);
  }
  if (!out_.empty()) return progress_ + limits.idle_time;
  if (!framing_.greeted()) return opened_ + limits.head_time;
  if (head_of_ != 0) return head_since_ + limits.head_time;
  if (!streams_.empty()) return TimePoint::max();  // each has its own
  // Whatever comes but requests (pings, say) keeps no connection open.
  return rest_since_ + (last_ ? limits.head_time : limits.idle_time);
}

void Http2Session::update_deadline() {
  TimePoint due = deadline();
  if (!streams_.empty()) due = std::min(due, context_.clock.now() + kLook);
  if (timer_ != nullptr && armed_ <= due) return;
  if (in_ring() && rests_until() <= due) return;
  const bool resting = streams_.empty() && out_.empty() && !lingering_ && framing_.greeted();
  if (resting && head_of_ == 0 && context_.rests.join(*this, due)) return timer_.reset();
  armed_ = due;
  const Millis delay = std::max(Millis(0), due - context_.clock.now());
  timer_ = context_.clock.after(delay, [this] { on_deadline(); });
}

void Http2Session::on_deadline() {
  const Alarm fired = std::move(timer_);
  const Entry entry(*this);
  const TimePoint now = context_.clock.now();
  for (const auto& [id, stream] : streams_) {
    if (stream->deadline() <= now) stream->give_up();
  }
  if (deadline() <= now) give_up();
}

void Http2Session::give_up() {
  const bool slow_head = !framing_.greeted() || head_of_ != 0;
  if (!lingering_ && !out_.empty()) {
    context_.counts.slow_readers.add();
  } else if (!lingering_ && slow_head) {
    context_.counts.slow_heads.add();
  }
  if (lingering_ || refusing_ || !out_.empty() || !framing_.greeted()) {
    over_ = true;
  } else if (head_of_ != 0) {
    calm_ = true;
    framing_.refuse_connection();
  } else {
    refusing_ = true;
    framing_.refuse_streams();
  }
}

}  // namespace latchkey::edge
