// Http1Session: what goes to the client, and what the connection waits for.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "edge/http/http1_session.h"
#include "edge/http/http1_session_entry.h"
#include "edge/http/http1_writer.h"
#include "edge/http/http_date.h"

namespace latchkey::edge {

// ---- to the client

void Http1Session::send_interim(const ResponseHead& head) {
  if (answer_ != Answer::kNone || http10_) return;
  if (head.status == 100) expects_ = false;
  write_head(out_.gathered(), head, {});
  note_output();
}

void Http1Session::send_head(const ResponseHead& head) {
  CHECK(answer_ == Answer::kNone);
  answer_ = Answer::kBody;
  body_ = head.body;
  std::string_view connection, date;
  if (head.status == 101) {
    tunnel_ = true;
    phase_ = Phase::kBody;
    keep_alive_ = false;
    body_ = {};
    connection = "upgrade";
    if (!in_.empty() || read_ended_) kick();
  } else {
    bodiless_ = head_request_ || head.status == 204 || head.status == 304;
    if (!bodiless_ && body_.kind == Body::Kind::kUntilClose) body_.kind = Body::Kind::kChunked;
    if (!bodiless_ && body_.kind == Body::Kind::kChunked && http10_) {
      body_.kind = Body::Kind::kUntilClose;
      keep_alive_ = false;
    }
    if (!bodiless_ && body_.kind == Body::Kind::kNone) body_ = {Body::Kind::kLength, 0};
    if (head.status == 204) body_ = {};
    if (bodiless_ && body_.kind != Body::Kind::kLength) body_ = {};
    if (!head.headers.has("date")) date = http_date(context_.clock);
    if (draining_ || last_ || (expects_ && phase_ != Phase::kDone)) keep_alive_ = false;
    if (!keep_alive_) {
      connection = "close";
    } else if (http10_) {
      connection = "keep-alive";
    }
  }
  body_left_ = bodiless_ ? 0 : body_.length;
  const ResponseLines lines{body_, connection, date};
  write_head(out_.gathered(), head, lines);
  note_output();
}

void Http1Session::send_body(std::string_view bytes) {
  if (bodiless_ || bytes.empty() || answer_ != Answer::kBody) return;
  if (!tunnel_ && body_.kind == Body::Kind::kLength) {
    bytes = bytes.substr(0, body_left_);
    body_left_ -= bytes.size();
  }
  const bool chunked = !tunnel_ && body_.kind == Body::Kind::kChunked;
  if (chunked) write_chunk_head(out_.gathered(), bytes.size());
  out_.put(bytes);
  if (chunked) out_.put("\r\n");
  note_output();
}

void Http1Session::flush() {
  if (!out_.blocked()) out_.flush();
  note_output();
}

bool Http1Session::full() {
  was_full_ = was_full_ || out_.full();
  return was_full_;
}

void Http1Session::finish(const HeaderList& trailers) {
  const Entry entry(*this);
  if (answer_ != Answer::kBody) {
    over_ = true;
    return;
  }
  answer_ = Answer::kDone;
  if (tunnel_) {
    out_.flush();
    if (out_.empty()) end_output();
    return;
  }
  if (bodiless_) return;
  if (body_.kind == Body::Kind::kLength && body_left_ > 0) over_ = true;  // a part is no whole
  if (body_.kind == Body::Kind::kChunked) write_last_chunk(out_.gathered(), trailers);
}

void Http1Session::reset() {
  const Entry entry(*this);
  over_ = true;
}

void Http1Session::pause_body() {
  paused_ = true;
}

void Http1Session::resume_body() {
  if (!paused_) return;
  paused_ = false;
  progress_ = context_.clock.now();
  if (depth_ == 0) kick();  // else leaving goes on with it
}

void Http1Session::on_writable() {
  const Entry entry(*this);
  const size_t before = out_.size();
  out_.flush();
  if (out_.size() < before || lingering_) progress_ = context_.clock.now();
  if (tunnel_ && answer_ == Answer::kDone && out_.empty()) end_output();
  if (lingering_ && read_ended_ && out_.empty() && transport_.unsent() == 0) over_ = true;
  tell_of_room();
}

// The exchange was told to stop, and may go on.
bool Http1Session::owes_room() const {
  return was_full_ && out_.size() < Outbox::kFull / 4;
}

void Http1Session::tell_of_room() {
  if (!owes_room()) return;
  was_full_ = false;
  if (exchange_ != nullptr && answer_ == Answer::kBody) exchange_->on_writable();
}

// All is said: tells the client so, once it is written, and waits until the client has seen it. To
// close while bytes of the client's are unread would make the kernel throw our last words away.
void Http1Session::begin_linger() {
  if (!out_.empty()) return;
  end_output();
  if (read_ended_ && transport_.unsent() == 0) over_ = true;
}

void Http1Session::end_output() {
  if (std::exchange(output_ended_, true)) return;
  transport_.finish_writing();
  progress_ = context_.clock.now();
}

// ---- what we wait for

// After output outside of an Entry, when the loop has to be told what came of it.
void Http1Session::note_output() {
  if (!out_.blocked()) progress_ = context_.clock.now();
  if (depth_ > 0) return;
  if (out_.broken() || owes_room()) {
    kick();
  } else if (out_.blocked()) {
    update_interest();
  }
}

void Http1Session::kick() {
  if (kick_ != nullptr) return;
  kick_ = context_.clock.after(Millis(0), [this] {
    const Alarm fired = std::move(kick_);
    const Entry entry(*this);
    tell_of_room();
  });
}

void Http1Session::update_interest() {
  const bool room = in_.size() < kMaxBuffered && !paused_;
  const bool read = !read_ended_ && (lingering_ || room);
  const bool unsent = lingering_ && (read_ended_ || transport_.unsent() > 0);
  const bool write = !out_.empty() || unsent;
  // The client's time to read begins when it first keeps us waiting.
  if (std::exchange(was_waiting_, !out_.empty()) == false && was_waiting_) {
    progress_ = context_.clock.now();
  }
  transport_.want(read, write);
  if (exchange_ == nullptr && out_.empty()) {
    out_.release();
    if (phase_ == Phase::kHead && in_.empty()) give_back_parser();
  }
  update_deadline();
}

// When the client must have done what we wait for; far away when we wait for the exchange.
TimePoint Http1Session::deadline() const {
  const SessionLimits& limits = context_.limits;
  if (lingering_ && out_.empty()) {
    // A slow client may take its time for what it has been promised; only then the linger begins.
    return progress_ + (transport_.unsent() > 0 ? limits.idle_time : limits.linger_time);
  }
  if (!out_.empty()) return progress_ + limits.idle_time;
  if (exchange_ == nullptr) {
    if (phase_ == Phase::kHead && !in_.empty()) return head_since_ + limits.head_time;
    return progress_ + (last_ ? limits.head_time : limits.idle_time);
  }
  if (tunnel_) {  // keep-alive finds a peer that is gone; a side that has ended bounds the other
    const bool one_ended = phase_ == Phase::kDone || answer_ == Answer::kDone;
    return one_ended ? progress_ + limits.idle_time : TimePoint::max();
  }
  if (read_ended_ && !paused_) return progress_ + limits.half_close_time;
  if (phase_ == Phase::kBody && !paused_ && !expects_) return progress_ + limits.idle_time;
  return TimePoint::max();
}

// Between requests.
bool Http1Session::resting() const {
  return !lingering_ && exchange_ == nullptr && phase_ == Phase::kHead && in_.empty() &&
         out_.empty();
}

void Http1Session::update_deadline() {
  const TimePoint due = deadline();
  if (due == TimePoint::max() || (timer_ != nullptr && armed_ <= due)) return;
  if (in_ring() && rests_until() <= due) return;
  if (resting() && context_.rests.join(*this, due)) return timer_.reset();
  armed_ = due;
  const Millis delay = std::max(Millis(0), due - context_.clock.now());
  timer_ = context_.clock.after(delay, [this] { on_deadline(); });
}

void Http1Session::on_deadline() {
  const Alarm fired = std::move(timer_);
  const Entry entry(*this);
  if (deadline() > context_.clock.now()) return;  // it moved; leaving sets the timer again
  if (!lingering_ && exchange_ == nullptr && phase_ == Phase::kHead && !in_.empty() &&
      out_.empty()) {
    refuse(408, "the request took too long to arrive");
    return;
  }
  if (resting()) {
    lingering_ = true;
    return;
  }
  if (!lingering_ && !out_.empty()) {
    context_.counts.slow_readers.add();
  } else if (!lingering_ && phase_ == Phase::kBody && !tunnel_) {
    context_.counts.slow_bodies.add();
  }
  over_ = true;
}

}  // namespace latchkey::edge
