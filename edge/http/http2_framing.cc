#include "edge/http/http2_framing.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"

namespace latchkey::edge {
namespace {

// A client that reads slowly gets small windows; one that gives them out by the byte wastes our
// time.
constexpr int32_t kTinyWindow = 512;
constexpr size_t kFrameHead = 9;  // RFC 9113, 4.1; we pad nothing
// Less than this of a body is no frame where more is ready and the windows have room.
constexpr size_t kTinyFrame = 4 << 10;

nghttp2_nv field(std::string_view name, std::string_view value) {
  // nghttp2 copies both.
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// Good until the next call; nghttp2 makes none while it copies them.
const std::vector<nghttp2_nv>& fields(const HeaderList& headers, std::string_view status = {},
                                      std::span<const HeaderList::Field> more = {}) {
  thread_local std::vector<nghttp2_nv> out;
  out.clear();
  if (!status.empty()) out.push_back(field(":status", status));
  for (const auto [name, value] : headers) out.push_back(field(name, value));
  for (const auto [name, value] : more) out.push_back(field(name, value));
  return out;
}

std::string_view view(const uint8_t* at, size_t size) {
  return {reinterpret_cast<const char*>(at), size};
}

bool ends_stream(const nghttp2_frame& frame) {
  const bool carries = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
  return carries && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

// What kind of frame it is if it serves no purpose. `greeting`: the first one of the client's.
std::optional<IdleFrame> without_purpose(const nghttp2_frame& frame, bool greeting) {
  const auto when = [](bool idle, IdleFrame kind) {
    return idle ? std::optional(kind) : std::nullopt;
  };
  const bool ack = (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_PRIORITY:  // counted as it begins
      return std::nullopt;
    case NGHTTP2_DATA:
      return when(frame.hd.length <= frame.data.padlen && !ends_stream(frame), IdleFrame::kEmpty);
    case NGHTTP2_WINDOW_UPDATE:
      return when(frame.window_update.window_size_increment < kTinyWindow, IdleFrame::kTinyWindow);
    case NGHTTP2_SETTINGS:
      return when(!ack && !greeting, IdleFrame::kSettings);
    case NGHTTP2_PING:
      return when(!ack, IdleFrame::kPing);
    case NGHTTP2_RST_STREAM:
      return IdleFrame::kReset;
    default:
      return IdleFrame::kOther;
  }
}

// Whether it was the client that made us reset a stream.
bool is_clients_fault(uint32_t error) {
  return error != NGHTTP2_NO_ERROR && error != NGHTTP2_INTERNAL_ERROR && error != NGHTTP2_CANCEL;
}

uint32_t code_of(Http2Framing::Reset why) {
  switch (why) {
    case Http2Framing::Reset::kNoError:
      return NGHTTP2_NO_ERROR;
    case Http2Framing::Reset::kCancel:
      return NGHTTP2_CANCEL;
    case Http2Framing::Reset::kRefused:
      return NGHTTP2_REFUSED_STREAM;
    case Http2Framing::Reset::kInternalError:
      break;
  }
  return NGHTTP2_INTERNAL_ERROR;
}

}  // namespace

struct Http2Framing::Callbacks {
  static Http2Framing& of(void* user) { return *static_cast<Http2Framing*>(user); }
  static bool is_trailers(const nghttp2_frame& frame) {
    return frame.headers.cat == NGHTTP2_HCAT_HEADERS;
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    of(user).events_.on_head_begin(frame->hd.stream_id, is_trailers(*frame));
    return 0;
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    const bool more = of(user).events_.on_field(frame->hd.stream_id, view(name, name_size),
                                                view(value, value_size));
    return more ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Framing& framing = of(user);
    const int32_t id = frame->hd.stream_id;
    const auto idle = without_purpose(*frame, !framing.greeted_);
    if (frame->hd.type == NGHTTP2_SETTINGS) framing.greeted_ = true;
    if (idle) framing.events_.on_idle_frame(*idle);
    const bool ends = ends_stream(*frame);
    if (frame->hd.type == NGHTTP2_HEADERS) framing.events_.on_head(id, is_trailers(*frame), ends);
    if (ends) framing.events_.on_message_end(id);
    return 0;
  }
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    of(user).events_.on_idle_frame(IdleFrame::kOther);
    return 0;
  }
  // Those that are of no interest any more, RFC 9113, 5.3.2, are not seen by on_frame.
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
    if (header->type == NGHTTP2_PRIORITY) of(user).events_.on_idle_frame(IdleFrame::kPriority);
    return 0;
  }
  // Of types that are not known here: to be ignored (RFC 9113, 5.5), but seen.
  static int unpack(nghttp2_session*, void** payload, const nghttp2_frame_hd*, void*) {
    *payload = nullptr;
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                     void* user) {
    of(user).events_.on_data(id, view(bytes, size));
    return 0;
  }
  static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Framing& framing = of(user);
    if (frame->hd.type == NGHTTP2_RST_STREAM && is_clients_fault(frame->rst_stream.error_code)) {
      framing.events_.on_idle_frame(IdleFrame::kMadeReset);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      framing.events_.on_broken();
    }
    if (ends_stream(*frame)) framing.events_.on_message_sent(frame->hd.stream_id);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    const Closed how = error == NGHTTP2_NO_ERROR         ? Closed::kDone
                       : error == NGHTTP2_REFUSED_STREAM ? Closed::kRefused
                                                         : Closed::kReset;
    of(user).events_.on_closed(id, how);
    return 0;
  }
  // A request that came too late for the connection, behind a GOAWAY for instance.
  static int on_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      of(user).events_.on_closed(frame->hd.stream_id, Closed::kRefused);
    }
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t at_most,
                           uint32_t* flags, nghttp2_data_source*, void* user) {
    // A record's worth, with the heads ahead of it.
    const size_t left = of(user).out_->left_of_record();
    if (left > kTinyFrame + kFrameHead) at_most = std::min(at_most, left - kFrameHead);
    const BodyReady ready = of(user).events_.body_ready(id, at_most);
    if (ready.bytes == 0 && !ready.last) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (ready.last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (ready.last && ready.trailers != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto& list = fields(*ready.trailers);
      if (nghttp2_submit_trailer(session, id, list.data(), list.size()) != 0) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      }
    }
    return static_cast<ssize_t>(ready.bytes);
  }
  static int write_body(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size,
                        nghttp2_data_source*, void* user) {
    Http2Framing& framing = of(user);
    framing.out_->gathered().append(view(head, kFrameHead));
    framing.events_.move_body(frame->hd.stream_id, size, *framing.out_);
    return 0;
  }

  static nghttp2_session_callbacks* table() {
    static nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
      nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
      nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
      nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, unpack);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, write_body);
      return callbacks;
    }();
    return made;
  }

  static nghttp2_option* options() {
    static nghttp2_option* const made = [] {
      nghttp2_option* options = nullptr;
      CHECK(nghttp2_option_new(&options) == 0);
      nghttp2_option_set_no_auto_window_update(options, 1);
      nghttp2_option_set_no_closed_streams(options, 1);
      nghttp2_option_set_stream_reset_rate_limit(options, UINT32_MAX, UINT32_MAX);  // Events counts
      for (int type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; ++type) {
        nghttp2_option_set_user_recv_extension_type(options, static_cast<uint8_t>(type));
      }
      return options;
    }();
    return made;
  }
};

void Http2Framing::Deleter::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Http2Framing::Http2Framing(Role role, const SessionLimits& limits, Events& events)
    : events_(events) {
  nghttp2_session* session = nullptr;
  const bool server = role == Role::kServer;
  const auto make = server ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
  CHECK(make(&session, Callbacks::table(), this, Callbacks::options()) == 0);
  session_.reset(session);
  // RFC 9113, 6.5.2: a field counts 32 bytes more than its text.
  const auto head = static_cast<uint32_t>(limits.http1.head + 32 * limits.http1.fields);
  std::vector<nghttp2_settings_entry> settings{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.http2.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  if (server) {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.http2.streams});
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  CHECK(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  CHECK(nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                              limits.http2.connection_window) == 0);
}

Http2Framing::~Http2Framing() = default;

bool Http2Framing::receive(std::string_view bytes) {
  const auto* const at = reinterpret_cast<const uint8_t*>(bytes.data());
  return nghttp2_session_mem_recv(session_.get(), at, bytes.size()) >= 0;
}

bool Http2Framing::send(Outbox& out) {
  out_ = &out;
  ssize_t size = 0;
  while (!out.full()) {
    const uint8_t* bytes = nullptr;
    size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size <= 0) break;
    out.put(view(bytes, static_cast<size_t>(size)));
  }
  out_ = nullptr;
  return size >= 0;
}

bool Http2Framing::over() const {
  return nghttp2_session_want_read(session_.get()) == 0 &&
         nghttp2_session_want_write(session_.get()) == 0;
}

void Http2Framing::interim(StreamId id, int status, const HeaderList& headers) {
  const std::string text = std::to_string(status);
  const auto& list = fields(headers, text);
  nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, id, nullptr, list.data(), list.size(),
                         nullptr);
}

void Http2Framing::respond(StreamId id, int status, const HeaderList& headers,
                           std::span<const HeaderList::Field> more, bool has_body) {
  const std::string text = std::to_string(status);
  const auto& list = fields(headers, text, more);
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  nghttp2_submit_response(session_.get(), id, list.data(), list.size(), has_body ? &body : nullptr);
}

void Http2Framing::resume(StreamId id) {
  nghttp2_session_resume_data(session_.get(), id);
}

void Http2Framing::reset(StreamId id, Reset why) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, code_of(why));
}

void Http2Framing::consume(StreamId id, size_t bytes) {
  if (bytes > 0) nghttp2_session_consume(session_.get(), id, bytes);
}

void Http2Framing::consume_connection(size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_connection(session_.get(), bytes);
}

void Http2Framing::consume_stream(StreamId id, size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_stream(session_.get(), id, bytes);
}

Http2Framing::StreamId Http2Framing::request(const HeaderList& head, bool has_body) {
  const auto& list = fields(head);
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  return nghttp2_submit_request(session_.get(), nullptr, list.data(), list.size(),
                                has_body ? &body : nullptr, nullptr);
}

bool Http2Framing::may_request() const {
  return nghttp2_session_check_request_allowed(session_.get()) != 0;
}

size_t Http2Framing::max_streams() const {
  return nghttp2_session_get_remote_settings(session_.get(),
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void Http2Framing::announce_end() {
  nghttp2_submit_shutdown_notice(session_.get());
}

void Http2Framing::refuse_streams() {
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void Http2Framing::refuse_connection() {
  nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
}

}  // namespace latchkey::edge
