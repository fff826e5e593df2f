#include "bench/load/http2_client.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace latchkey::bench {
namespace {

constexpr int32_t kWindow = 0x7fffffff;
constexpr size_t kSendAtOnce = 16 << 10;  // a full TLS record

nghttp2_nv field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

}  // namespace

struct Http2Client::Callbacks {
  static Http2Client& of(void* user) { return *static_cast<Http2Client*>(user); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Client& self = of(user);
    Stream* const stream = self.stream(frame->hd.stream_id);
    if (stream == nullptr || stream->first_byte_told) return 0;
    stream->first_byte_told = true;
    self.events_.on_first_byte(static_cast<uint32_t>(stream - self.streams_.data()));
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    // nghttp2 has seen to it that a status has three digits.
    if (name_size != 7 || std::memcmp(name, ":status", 7) != 0 || value_size != 3) return 0;
    Stream* const stream = of(user).stream(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t*, size_t size,
                     void* user) {
    if (Stream* const stream = of(user).stream(id)) stream->body += size;
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) of(user).open_ = false;
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    if (Stream* const stream = of(user).stream(id)) of(user).on_stream_close(*stream, error);
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* into, size_t room,
                           uint32_t* flags, nghttp2_data_source*, void* user) {
    Stream* const stream = of(user).stream(id);
    const uint64_t due = stream == nullptr ? 0 : stream->body_due;
    const size_t n = static_cast<size_t>(std::min<uint64_t>(room, due));
    std::memset(into, 'b', n);
    if (stream != nullptr) stream->body_due -= n;
    if (n == due) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static const nghttp2_session_callbacks* table() {
    static const nghttp2_session_callbacks* const callbacks = [] {
      nghttp2_session_callbacks* c = nullptr;
      CHECK(nghttp2_session_callbacks_new(&c) == 0);
      nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(c, on_header);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
      nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
      nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
      return c;
    }();
    return callbacks;
  }
};

Http2Client::Http2Client(const HttpRequest& request, Events& events)
    : request_(request), events_(events), length_(std::to_string(request.body)) {
  streams_.resize(request.streams);
}

Http2Client::~Http2Client() {
  nghttp2_session_del(session_);
}

void Http2Client::begin(std::string_view host) {
  nghttp2_session_del(session_);
  CHECK(nghttp2_session_client_new(&session_, Callbacks::table(), this) == 0);
  const std::array<nghttp2_settings_entry, 2> settings{
      {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow}}};
  CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) ==
        0);
  CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindow) == 0);
  host_ = host;
  std::fill(streams_.begin(), streams_.end(), Stream());
  output_.clear();
  failure_.clear();
  open_ = true;
}

void Http2Client::request(uint32_t number) {
  const bool post = request_.body > 0;
  const std::array<nghttp2_nv, 5> fields{
      field(":method", post ? "POST" : "GET"), field(":scheme", "https"),
      field(":authority", host_), field(":path", request_.path), field("content-length", length_)};
  Stream& stream = streams_[number];
  stream = {};
  stream.body_due = request_.body;
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  stream.id = nghttp2_submit_request(session_, nullptr, fields.data(),
                                     post ? fields.size() : fields.size() - 1,
                                     post ? &body : nullptr, &stream);
  CHECK(stream.id > 0);  // 2^30 requests on one connection
  if (request_.close) open_ = false;
}

void Http2Client::flush() {
  for (;;) {
    const uint8_t* bytes = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
    CHECK(n >= 0);  // no memory
    if (n == 0) break;
    output_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
    if (output_.size() < kSendAtOnce) continue;
    events_.send(output_);
    output_.clear();
  }
  if (!output_.empty()) events_.send(output_);
  output_.clear();
}

bool Http2Client::take(std::string_view bytes) {
  const ssize_t n = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (n < 0) {
    failure_ = std::string("HTTP/2 ") + nghttp2_strerror(static_cast<int>(n));
    return false;
  }
  flush();
  // A server's mistake ends the session with our GOAWAY.
  if (nghttp2_session_want_read(session_) != 0) return true;
  if (!open_ && std::none_of(streams_.begin(), streams_.end(),
                             [](const Stream& stream) { return stream.id != 0; })) {
    return true;
  }
  failure_ = "HTTP/2 protocol error";
  return false;
}

Http2Client::Stream* Http2Client::stream(int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

void Http2Client::on_stream_close(Stream& stream, uint32_t error) {
  Answer answer;
  answer.status = stream.status;
  answer.body = stream.body;
  std::string failure;
  // NO_ERROR: the server had its answer before the end of our body (RFC 9113, 8.1).
  if (error != NGHTTP2_NO_ERROR) {
    failure = std::string("stream ") + nghttp2_http2_strerror(error);
    answer.failure = failure;
  }
  stream.id = 0;
  events_.on_answer(static_cast<uint32_t>(&stream - streams_.data()), answer);
}

}  // namespace latchkey::bench
