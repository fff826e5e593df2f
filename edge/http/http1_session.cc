#include "edge/http/http1_session.h"

#include <tuple>
#include <utility>
#include <vector>

#include "edge/http/http1_session_entry.h"
#include "edge/http/read_buffer.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxDiscard = 256 << 10;  // of a body that nobody wants, before we hang up

// Parsers that connections at rest have given back, of 0.6 KiB each: as many as are at work in one
// turn of the loop.
constexpr size_t kSpareParsers = 32;
thread_local std::vector<std::unique_ptr<Http1RequestParser>> spare_parsers;

}  // namespace

Http1Session::Http1Session(Transport& transport, const SessionContext& context, ClientInfo client,
                           std::function<void()> on_end)
    : transport_(transport),
      context_(context),
      client_(client),
      on_end_(std::move(on_end)),
      out_(transport),
      progress_(context.clock.now()) {
  transport_.set_events(this);
  update_interest();
}

Http1Session::~Http1Session() {
  transport_.set_events(nullptr);
  give_back_parser();
}

Http1RequestParser& Http1Session::parser() {
  if (parser_ != nullptr) return *parser_;
  if (spare_parsers.empty()) {
    parser_ = std::make_unique<Http1RequestParser>(context_.limits.http1);
  } else {
    parser_ = std::move(spare_parsers.back());
    spare_parsers.pop_back();
    parser_->restart(context_.limits.http1);
  }
  return *parser_;
}

void Http1Session::give_back_parser() {
  const bool good = parser_ != nullptr && parser_->keeps_nothing();
  if (good && spare_parsers.size() < kSpareParsers) {
    spare_parsers.push_back(std::move(parser_));
  }
  parser_.reset();
}

void Http1Session::drain() {
  const Entry entry(*this);
  draining_ = true;
}

// Does what is due, until nothing is. The last thing it does may be the end of the session.
void Http1Session::leave() {
  while (settle()) {
    const auto before = std::tuple(phase_, answer_, exchange_.get());
    const size_t used = process(in_);
    in_.erase(0, used);
    if (used == 0 && before == std::tuple(phase_, answer_, exchange_.get())) break;
  }
  out_.flush();
  if (out_.broken()) over_ = true;
  if (!over_ && lingering_) begin_linger();
  depth_ = 0;
  // Flushed outside of on_writable(), which does not come for an output that is empty.
  if (!over_ && owes_room()) kick();
  if (over_) {
    exchange_.reset();
    kick_.reset();
    timer_.reset();
    leave_ring();
    transport_.set_events(nullptr);
    if (on_end_) std::exchange(on_end_, nullptr)();
    return;
  }
  update_interest();
}

// Ends what can be ended. False: nothing more is to be parsed.
bool Http1Session::settle() {
  if (over_ || lingering_) return false;
  if (tunnel_) {
    if (answer_ == Answer::kDone && phase_ == Phase::kDone) {
      exchange_.reset();
      lingering_ = true;
      return false;
    }
    return true;
  }
  if (answer_ == Answer::kDone) {
    exchange_.reset();
    paused_ = false;
    const bool unread = phase_ != Phase::kDone;
    // A client that waits for our 100 may or may not send its body: nobody could tell it from the
    // next request.
    if (!keep_alive_ || (unread && (expects_ || discarded_ > kMaxDiscard))) {
      lingering_ = true;
      return false;
    }
    if (unread) return true;
    answer_ = Answer::kNone;
    phase_ = Phase::kHead;
    discarded_ = 0;
    progress_ = head_since_ = context_.clock.now();
    if (in_.empty()) std::string().swap(in_);  // a connection at rest keeps no buffer
  }
  if (exchange_ == nullptr && phase_ == Phase::kHead && (draining_ || read_ended_) && in_.empty()) {
    lingering_ = true;
    return false;
  }
  return true;
}

// ---- from the client

void Http1Session::on_readable() {
  const Entry entry(*this);
  const auto buffer = read_buffer();
  const auto moved = transport_.read(buffer);
  switch (moved.io) {
    case Transport::Io::kAgain:
      return;
    case Transport::Io::kError:
      over_ = true;
      return;
    case Transport::Io::kEnd:
      on_client_end();
      return;
    case Transport::Io::kDone:
      break;
  }
  // Empty lines before a request prolong no rest.
  const bool resting = exchange_ == nullptr && phase_ == Phase::kHead && in_.empty();
  if (!resting || lingering_) progress_ = context_.clock.now();
  if (!lingering_) return take({buffer.data(), moved.bytes});
  discarded_ += static_cast<uint32_t>(moved.bytes);
  if (discarded_ > kMaxDiscard) over_ = true;
}

void Http1Session::on_client_end() {
  read_ended_ = true;
  progress_ = context_.clock.now();
  if (lingering_) {
    over_ = transport_.unsent() == 0;
  } else if (tunnel_) {
    // What still waits in `in_` goes first: process() says the end behind it.
  } else if (exchange_ == nullptr) {
    // Whole requests that wait are answered; a part of one never will be whole.
    if (phase_ != Phase::kHead) over_ = true;
  } else if (phase_ != Phase::kDone && !paused_) {
    over_ = true;
  }
}

void Http1Session::take(std::string_view bytes) {
  if (!in_.empty()) {
    in_.append(bytes);
    return;  // leave() goes on with it
  }
  if (phase_ == Phase::kHead && exchange_ == nullptr) head_since_ = context_.clock.now();
  const size_t used = process(bytes);
  in_.assign(bytes.substr(used));
}

// Parses as far as it can go; how much that was.
size_t Http1Session::process(std::string_view bytes) {
  std::string_view rest = bytes;
  while (!over_ && !lingering_ && step(rest)) {
  }
  return bytes.size() - rest.size();
}

// One step of it. False: it cannot go on now.
bool Http1Session::step(std::string_view& bytes) {
  if (paused_) return false;
  if (tunnel_) {
    if (phase_ == Phase::kDone) return false;
    if (!bytes.empty()) {
      exchange_->on_body(std::exchange(bytes, {}));
      return !over_;
    }
    if (!read_ended_) return false;
    phase_ = Phase::kDone;
    exchange_->on_request_end({});
    return false;
  }
  // Answers that the client does not read do not pile up: its next request waits, unread.
  if (phase_ == Phase::kHead && out_.full()) return false;
  if (phase_ == Phase::kDone) return false;  // the next request waits for this one's response
  if (answer_ == Answer::kDone && exchange_ != nullptr) return false;  // settle() comes first
  const Http1Event event = parser().next(bytes);
  bytes.remove_prefix(event.consumed);
  switch (event.kind) {
    case Http1Event::Kind::kMore:
      if (read_ended_ && (phase_ == Phase::kBody || !bytes.empty())) over_ = true;
      return false;
    case Http1Event::Kind::kRefused:
      refuse(parser_->refusal().status, parser_->refusal().why);
      return false;
    case Http1Event::Kind::kHead:
      begin_exchange();
      return true;
    case Http1Event::Kind::kBody:
      expects_ = false;  // it did not wait
      if (exchange_ != nullptr) {
        exchange_->on_body(event.body);
      } else {
        discarded_ += static_cast<uint32_t>(event.body.size());
      }
      return discarded_ <= kMaxDiscard;
    case Http1Event::Kind::kEnd:
      phase_ = Phase::kDone;
      if (exchange_ != nullptr) exchange_->on_request_end(parser_->trailers());
      return false;
  }
  return false;
}

void Http1Session::begin_exchange() {
  RequestHead head = std::move(parser_->head());
  head.scheme = client_.secure ? "https" : "http";
  progress_ = context_.clock.now();
  phase_ = Phase::kBody;
  answer_ = Answer::kNone;
  discarded_ = 0;
  body_ = {};
  keep_alive_ = parser_->keep_alive();
  http10_ = head.minor_version == 0;
  head_request_ = head.method == "HEAD";
  expects_ = head.expect_continue;
  bodiless_ = false;
  out_.flush();
  exchange_ = context_.serve(std::move(head), *this);
  exchange_->start();
}

void Http1Session::refuse(int status, std::string_view why) {
  context_.counts.add_refusal(status);
  exchange_.reset();
  keep_alive_ = false;
  if (answer_ == Answer::kBody) {
    over_ = true;  // in the middle of a response: all that can be said is that it ends
    return;
  }
  if (answer_ == Answer::kNone) {
    head_request_ = http10_ = tunnel_ = false;
    send_page(*this, status, why);
  }
  lingering_ = true;
}

}  // namespace latchkey::edge
