#include "edge/http/http2_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "edge/http/http_date.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr size_t kCrowded = 1 << 20;  // of all streams: then each may keep less
constexpr size_t kFullCrowded = 16 << 10;
constexpr size_t kEager = 16 << 10;  // a frame's worth: written without a flush()

}  // namespace

Http2Stream::Http2Stream(Owner& owner, Http2Framing::StreamId id)
    : owner_(owner),
      id_(id),
      request_(owner.context().limits.http1),
      progress_(owner.context().clock.now()) {}

Http2Stream::~Http2Stream() {
  exchange_.reset();
  owner_.kept() -= out_.size();
}

// ---- from the client

bool Http2Stream::take_field(std::string_view name, std::string_view value) {
  if (request_) {
    request_->add(name, value);
    return !request_->far_too_large();
  }
  const Http1Limits& limits = owner_.context().limits.http1;
  if (!add_trailer(trailers_, trailers_size_, limits, name, value) && !aborted_) reset();
  return true;
}

void Http2Stream::take_head(bool request_ends) {
  if (!request_) return;  // trailers: their end is the request's
  RequestHead head;
  head_request_ = request_->is_head();
  const auto refusal = request_->finish(!request_ends, head);
  request_.reset();
  if (refusal) return refuse(*refusal);
  head.scheme = client().secure ? "https" : "http";
  websocket_ = !head.upgrade.empty();
  expects_ = head.expect_continue;
  exchange_ = owner_.context().serve(std::move(head), *this);
  // Not before what came with it has been read: a client that resets it at once (CVE-2023-44487)
  // costs no upstream connection.
  starting_ = true;
  owner_.on_due(*this, false);
}

void Http2Stream::start() {
  if (std::exchange(starting_, false)) exchange_->start();
}

void Http2Stream::refuse(const Refusal& why) {
  owner_.context().counts.add_refusal(why.status);
  send_page(*this, why.status, why.why);
  finish({});
}

void Http2Stream::take_data(std::string_view bytes) {
  progress_ = owner_.context().clock.now();
  expects_ = false;  // it did not wait
  start();
  if (is_told()) return owner_.framing().consume(id_, bytes.size());
  if (paused_ || !held_.empty()) {
    held_.append(bytes);
    return;
  }
  exchange_->on_body(bytes);
  owner_.framing().consume(id_, bytes.size());
}

void Http2Stream::take_end() {
  ended_ = true;
  if (!paused_ && !starting_) deliver();
}

bool Http2Stream::is_told() const {
  return exchange_ == nullptr || closed_ || aborted_ || told_end_ ||
         (answer_ == Answer::kDone && !tunnel_);
}

// What was held back, and the end behind it.
void Http2Stream::deliver() {
  while (!paused_ && !held_.empty() && !is_told()) {
    const std::string piece = std::exchange(held_, {});
    exchange_->on_body(piece);
    owner_.framing().consume(id_, piece.size());
  }
  if (paused_ || !held_.empty() || !ended_ || is_told()) return;
  told_end_ = true;
  exchange_->on_request_end(trailers_);
}

void Http2Stream::resume_body() {
  if (!paused_) return;
  paused_ = false;
  progress_ = owner_.context().clock.now();
  owner_.on_due(*this, false);
}

// What nobody took counts against the connection's window no more.
void Http2Stream::closed() {
  closed_ = true;
  owner_.framing().consume(id_, std::exchange(held_, {}).size());
}

void Http2Stream::settle() {
  if (closed_ || aborted_) return drop_exchange();
  start();
  deliver();
  if (owes_room() && exchange_ != nullptr && answer_ == Answer::kBody) {
    was_full_ = false;
    exchange_->on_writable();
  }
  if (aborted_ || (answer_ == Answer::kDone && (!tunnel_ || told_end_))) drop_exchange();
}

void Http2Stream::drop_exchange() {
  exchange_.reset();
  owner_.framing().consume(id_, std::exchange(held_, {}).size());
}

// ---- to the client

void Http2Stream::send_interim(const ResponseHead& head) {
  if (answer_ != Answer::kNone || aborted_) return;
  if (head.status == 100) {
    expects_ = false;
    progress_ = owner_.context().clock.now();
  }
  owner_.framing().interim(id_, head.status, head.headers);
  owner_.flush();
}

void Http2Stream::send_head(const ResponseHead& head) {
  CHECK(answer_ == Answer::kNone);
  answer_ = Answer::kBody;
  if (websocket_ && head.status == 101) {  // RFC 8441, 5
    tunnel_ = true;
    HeaderList headers = head.headers;
    headers.remove("sec-websocket-accept");
    return respond(200, headers, {}, true);
  }
  if (websocket_ && head.status < 300) {  // to the client that would mean a WebSocket
    bodiless_ = true;
    return respond(502, {}, {}, false);
  }
  body_ = head.body;
  bodiless_ = head_request_ || head.status == 204 || head.status == 304;
  if (!bodiless_ && body_.kind == Body::Kind::kNone) body_ = {Body::Kind::kLength, 0};
  std::array<HeaderList::Field, 2> more;
  size_t added = 0;
  const std::string length = std::to_string(body_.length);
  if (body_.kind == Body::Kind::kLength && head.status != 204) {
    more[added++] = {"content-length", length};
  }
  body_left_ = body_.length;
  if (!head.headers.has("date")) more[added++] = {"date", http_date(owner_.context().clock)};
  const bool nothing = body_.kind == Body::Kind::kLength && body_.length == 0;
  bodiless_ = bodiless_ || nothing;
  respond(head.status, head.headers, std::span(more).first(added), !bodiless_);
}

void Http2Stream::respond(int status, const HeaderList& headers,
                          std::span<const HeaderList::Field> more, bool has_body) {
  if (aborted_ || closed_) return;
  owner_.framing().respond(id_, status, headers, more, has_body);
}

void Http2Stream::send_body(std::string_view bytes) {
  if (bodiless_ || bytes.empty() || answer_ != Answer::kBody || aborted_ || closed_) return;
  if (!tunnel_ && body_.kind == Body::Kind::kLength) {
    bytes = bytes.substr(0, body_left_);
    body_left_ -= bytes.size();
  }
  if (out_.empty()) progress_ = owner_.context().clock.now();
  owner_.kept() += bytes.size();
  owner_.framing().resume(id_);
  if (out_.size() + bytes.size() < kEager) return out_.append(bytes);
  out_.lend(bytes);
  eager_ = more_comes_ = true;
  owner_.flush_now();
  more_comes_ = false;
  out_.keep();
  if (!out_.empty()) owner_.framing().resume(id_);
}

bool Http2Stream::full() {
  const size_t bound = owner_.kept() > kCrowded ? kFullCrowded : Outbox::kFull;
  was_full_ = was_full_ || out_.size() >= bound;
  return was_full_;
}

bool Http2Stream::owes_room() const {
  return was_full_ && out_.size() < Outbox::kFull / 4;
}

void Http2Stream::finish(const HeaderList& trailers) {
  if (answer_ != Answer::kBody) return reset();
  if (!tunnel_ && !bodiless_ && body_.kind == Body::Kind::kLength && body_left_ > 0) {
    return reset();  // a part is no whole
  }
  answer_ = Answer::kDone;
  response_trailers_ = trailers;
  owner_.framing().resume(id_);
  if (eager_) owner_.flush_now();  // into the same send
  owner_.on_due(*this, true);
}

void Http2Stream::reset() {
  if (!aborted_ && !closed_) {
    owner_.framing().reset(id_, Http2Framing::Reset::kInternalError);
  }
  aborted_ = true;
  owner_.on_due(*this, true);
}

Http2Framing::BodyReady Http2Stream::body_ready(size_t at_most) const {
  Http2Framing::BodyReady ready;
  if (more_comes_ && out_.size() < at_most) return ready;
  ready.bytes = std::min(at_most, out_.size());
  ready.last = answer_ == Answer::kDone && ready.bytes == out_.size();
  if (ready.last && !tunnel_ && !response_trailers_.empty()) ready.trailers = &response_trailers_;
  return ready;
}

void Http2Stream::move_body(size_t bytes, Outbox& out) {
  out_.move(bytes, out);
  owner_.kept() -= bytes;
  progress_ = owner_.context().clock.now();
  if (owes_room()) owner_.on_due(*this, false);
}

// RFC 9113, 8.1: the rest of the request is of no use any more.
void Http2Stream::response_sent() {
  sent_all_ = true;
  if (!ended_ && !tunnel_) owner_.framing().reset(id_, Http2Framing::Reset::kNoError);
}

// ---- what we wait for

TimePoint Http2Stream::deadline() const {
  const Millis idle = owner_.context().limits.idle_time;
  if (!out_.empty()) return progress_ + idle;
  if (tunnel_) {  // keep-alive finds a peer that is gone; a side that has ended bounds the other
    return ended_ || sent_all_ ? progress_ + idle : TimePoint::max();
  }
  if (!ended_ && !paused_ && held_.empty() && !expects_) return progress_ + idle;
  return TimePoint::max();
}

void Http2Stream::give_up() {
  ProtectionCounts& counts = owner_.context().counts;
  (out_.empty() ? counts.slow_bodies : counts.slow_readers).add();
  owner_.framing().reset(id_, Http2Framing::Reset::kCancel);
  aborted_ = true;
  owner_.on_due(*this, false);
}

}  // namespace latchkey::edge
