#pragma once
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace latchkey::edge {

// The client's side of an HTTP/2 connection in memory, by nghttp2. It may be told to break the
// rules by raw().
class Http2TestClient {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Answer {
    std::string status;
    std::vector<std::string> interim;
    Fields headers, trailers;
    std::string body;
    bool ended = false;
    std::optional<uint32_t> closed;  // the error code
    std::string header(std::string_view name) const {
      for (const auto& [key, value] : headers) {
        if (key == name) return value;
      }
      return "";
    }
  };
  struct Upload {
    std::string bytes;
    bool whole = true;  // else more() is to come
    Fields trailers{};
  };

  // `window`: of each stream; 0: the default.
  explicit Http2TestClient(uint32_t window = 0) {
    nghttp2_session_callbacks* callbacks = nullptr;
    EXPECT_EQ(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option* options = nullptr;
    EXPECT_EQ(nghttp2_option_new(&options), 0);
    nghttp2_option_set_no_http_messaging(options, 1);  // it may say what it likes
    EXPECT_EQ(nghttp2_session_client_new2(&session_, callbacks, this, options), 0);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, window > 0 ? 1 : 0);
  }
  ~Http2TestClient() { nghttp2_session_del(session_); }
  Http2TestClient(const Http2TestClient&) = delete;

  static Fields get(std::string_view path = "/", std::string_view method = "GET") {
    return {{":method", std::string(method)},
            {":scheme", "https"},
            {":authority", "a.test"},
            {":path", std::string(path)}};
  }

  int32_t request(const Fields& fields) {
    const auto list = table(fields);
    return nghttp2_submit_request(session_, nullptr, list.data(), list.size(), nullptr, nullptr);
  }
  int32_t request(const Fields& fields, Upload upload) {
    const auto list = table(fields);
    nghttp2_data_provider body{};
    body.read_callback = read_body;
    const int32_t id =
        nghttp2_submit_request(session_, nullptr, list.data(), list.size(), &body, nullptr);
    uploads_[id] = std::move(upload);
    return id;
  }
  void more(int32_t id, std::string_view bytes, bool whole) {
    uploads_[id].bytes += bytes;
    uploads_[id].whole = whole;
    nghttp2_session_resume_data(session_, id);
  }
  void cancel(int32_t id) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  void ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
  // A frame as it is.
  static std::string raw(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
    std::string out;
    for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
    out += static_cast<char>(type);
    out += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(id >> shift);
    return out.append(payload);
  }

  // What it has to say now.
  std::string said() {
    std::string out;
    const uint8_t* bytes = nullptr;
    for (ssize_t n = 0; (n = nghttp2_session_mem_send(session_, &bytes)) > 0;) {
      out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
    }
    return out;
  }
  void hear(std::string_view bytes) {
    const auto* const at = reinterpret_cast<const uint8_t*>(bytes.data());
    EXPECT_EQ(nghttp2_session_mem_recv(session_, at, bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  std::map<int32_t, Answer> answers;
  std::optional<uint32_t> goaway;  // the error code of the last one
  int32_t last_taken = 0;          // ... and its last stream
  std::map<int32_t, uint32_t> settings;

 private:
  static std::vector<nghttp2_nv> table(const Fields& fields) {
    std::vector<nghttp2_nv> out;
    out.reserve(fields.size());
    for (const auto& [name, value] : fields) {
      out.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                     value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    return out;
  }
  static Http2TestClient& of(void* user) { return *static_cast<Http2TestClient*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    Answer& answer = of(user).answers[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    std::string text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status" && text.starts_with('1')) {
      answer.interim.push_back(std::move(text));
    } else if (key == ":status") {
      answer.status = std::move(text);
    } else {
      (answer.body.empty() ? answer.headers : answer.trailers).emplace_back(key, std::move(text));
    }
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2TestClient& client = of(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaway = frame->goaway.error_code;
      client.last_taken = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS) {
      for (size_t i = 0; i < frame->settings.niv; ++i) {
        client.settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
      }
    }
    const bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      client.answers[frame->hd.stream_id].ended = true;
    }
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                     void* user) {
    of(user).answers[id].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    of(user).answers[id].closed = error;
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* into, size_t at_most,
                           uint32_t* flags, nghttp2_data_source*, void* user) {
    Upload& upload = of(user).uploads_[id];
    const size_t n = std::min(at_most, upload.bytes.size());
    if (n == 0 && !upload.whole) return NGHTTP2_ERR_DEFERRED;
    std::copy_n(upload.bytes.begin(), n, into);
    upload.bytes.erase(0, n);
    if (upload.bytes.empty() && upload.whole) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!upload.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto list = table(upload.trailers);
        nghttp2_submit_trailer(session, id, list.data(), list.size());
      }
    }
    return static_cast<ssize_t>(n);
  }

  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Upload> uploads_;
};

}  // namespace latchkey::edge
