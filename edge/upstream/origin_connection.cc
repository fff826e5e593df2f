#include "edge/upstream/origin_connection.h"

#include <utility>

#include "edge/http/http1_writer.h"
#include "edge/http/read_buffer.h"

namespace latchkey::edge {
namespace {

constexpr unsigned kMaxInterims = 100;
// What is read at once of a body that did not come with its head: still in the processor's nearest
// cache when it is encrypted and sent. With 66 KiB, 1 MiB costs an eighth more CPU.
constexpr size_t kLongBodyRead = 32 << 10;

}  // namespace

OriginConnection::OriginConnection(std::unique_ptr<Transport> transport, EndpointPtr endpoint)
    : transport_(std::move(transport)), endpoint_(std::move(endpoint)), out_(*transport_) {
  transport_->set_events(this);
}

OriginConnection::~OriginConnection() {
  transport_->set_events(nullptr);
}

void OriginConnection::send_head(Handler& handler, const RequestHead& head) {
  handler_ = &handler;
  gone_ = nullptr;
  ++requests_;
  interims_ = 0;
  began_ = paused_ = was_full_ = response_done_ = request_done_ = false;
  request_body_ = head.body.kind;
  parser_.expect(head.method == "HEAD", !head.upgrade.empty());
  write_head(out_.gathered(), head);
  // Small requests leave with their body in one piece.
  if (head.expect_continue) {
    out_.flush();
  } else {
    leaves_later_ = transport_->ask_turn_end();
  }
  update_interest();
}

void OriginConnection::send_body(std::string_view bytes) {
  // What no head has announced would be the next request.
  if (bytes.empty() || (!tunnel_ && request_body_ == Body::Kind::kNone)) return;
  const bool chunked = !tunnel_ && request_body_ == Body::Kind::kChunked;
  if (chunked) write_chunk_head(out_.gathered(), bytes.size());
  out_.put(bytes);
  if (chunked) out_.put("\r\n");
  sent();
}

void OriginConnection::finish_request(const HeaderList& trailers) {
  request_done_ = true;
  if (request_body_ == Body::Kind::kChunked) write_last_chunk(out_.gathered(), trailers);
  sent();
}

void OriginConnection::finish_tunnel() {
  ending_ = true;
  sent();
}

// Requests of one turn go out one behind the other: an upstream that the first has woken is awake
// for the others.
void OriginConnection::sent() {
  leaves_later_ = !out_.empty() && transport_->ask_turn_end();
  if (!leaves_later_) flush();
}

void OriginConnection::on_turn_end() {
  leaves_later_ = false;
  flush();
}

void OriginConnection::flush() {
  if (!out_.blocked()) out_.flush();
  if (ending_ && out_.empty()) transport_->finish_writing();
  update_interest();
}

bool OriginConnection::full() {
  was_full_ = was_full_ || out_.full();
  return was_full_;
}

void OriginConnection::pause(bool paused) {
  paused_ = paused;
  update_interest();
}

bool OriginConnection::reusable() const {
  return response_done_ && request_done_ && !tunnel_ && !stray_ && !read_ended_ && out_.empty() &&
         !out_.broken() && parser_.keep_alive();
}

bool OriginConnection::stale() {
  char byte;
  return transport_->read({&byte, 1}).io != Transport::Io::kAgain;
}

void OriginConnection::rest(std::function<void()> gone) {
  handler_ = nullptr;
  gone_ = std::move(gone);
  std::string().swap(in_);
  out_.release();
  paused_ = false;
  update_interest();
}

// A write that fails shows itself as an event: the socket is then readable and writable.
void OriginConnection::update_interest() {
  const bool held = paused_ && !out_.broken();
  const bool write = out_.blocked() || (!out_.empty() && !leaves_later_);
  transport_->want(!held && !read_ended_, write);
}

void OriginConnection::on_writable() {
  out_.flush();
  if (ending_ && out_.empty()) transport_->finish_writing();
  update_interest();
  if (!was_full_ || out_.size() >= Outbox::kFull / 4) return;
  was_full_ = false;
  if (handler_ != nullptr) handler_->on_request_writable();
}

void OriginConnection::on_readable() {
  if (handler_ == nullptr) {
    const auto gone = std::move(gone_);
    if (gone) gone();  // destroys us
    return;
  }
  if (paused_) return fail("the connection broke");
  const auto buffer = began_ ? read_buffer().first(kLongBodyRead) : read_buffer();
  const auto moved = transport_->read(buffer);
  switch (moved.io) {
    case Transport::Io::kAgain:
      return;
    case Transport::Io::kError:
      return fail(transport_->error());
    case Transport::Io::kEnd:
      return on_end();
    case Transport::Io::kDone:
      break;
  }
  if (!tunnel_) began_ = true;
  const std::string_view bytes(buffer.data(), moved.bytes);
  if (in_.empty()) return on_bytes(bytes);
  const std::string whole = std::exchange(in_, {}).append(bytes);
  on_bytes(whole);
}

// `bytes` are not in in_: what cannot be delivered yet goes there.
void OriginConnection::on_bytes(std::string_view bytes) {
  const std::weak_ptr<Unit> alive = alive_;
  for (;;) {
    if (tunnel_) {
      if (!bytes.empty()) handler_->on_response_body(bytes);
      bytes = {};
      break;
    }
    const Http1Event event = parser_.next(bytes);
    bytes.remove_prefix(event.consumed);
    if (event.kind == Http1Event::Kind::kMore) break;
    if (event.kind == Http1Event::Kind::kEnd) stray_ = !bytes.empty();
    if (!deliver(event) || alive.expired()) return;
  }
  if (alive.expired()) return;
  in_.assign(bytes);
  handler_->on_response_pause();
}

// False: that was the last of it; we may be gone.
bool OriginConnection::deliver(const Http1Event& event) {
  switch (event.kind) {
    case Http1Event::Kind::kHead:
      if (parser_.head().interim()) {
        if (++interims_ > kMaxInterims) {
          fail("too many interim responses");
          return false;
        }
        handler_->on_response_interim(parser_.head());
        return true;
      }
      if (parser_.head().status == 101) tunnel_ = true;
      handler_->on_response_head(parser_.head());
      return true;
    case Http1Event::Kind::kBody:
      handler_->on_response_body(event.body);
      return true;
    case Http1Event::Kind::kEnd:
      response_done_ = true;
      handler_->on_response_end(parser_.trailers());
      return false;
    case Http1Event::Kind::kRefused:
      fail(std::string(parser_.refusal().why));
      return false;
    case Http1Event::Kind::kMore:
      break;
  }
  return false;
}

void OriginConnection::on_end() {
  read_ended_ = true;
  update_interest();
  if (tunnel_) {
    response_done_ = true;
    handler_->on_response_end({});
    return;
  }
  if (parser_.finish().kind == Http1Event::Kind::kEnd) {
    response_done_ = true;
    handler_->on_response_end(parser_.trailers());
    return;
  }
  fail(std::string(parser_.refusal().why));
}

void OriginConnection::fail(const std::string& why) {
  handler_->on_origin_failure({why, began_});
}

}  // namespace latchkey::edge
