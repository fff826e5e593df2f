#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/http_client.h"

struct nghttp2_session;

namespace latchkey::bench {

// HTTP/2 over nghttp2, with windows that never are the limit. What is written in one event leaves
// in as few records as it fits in.
class Http2Client final : public HttpClient {
 public:
  // Both outlive it.
  Http2Client(const HttpRequest& request, Events& events);
  ~Http2Client() override;

  void begin(std::string_view host) override;
  void request(uint32_t number) override;
  void flush() override;
  bool take(std::string_view bytes) override;
  bool open() const override { return open_; }

 private:
  struct Callbacks;
  struct Stream {
    int32_t id = 0;  // 0: not under way
    int status = 0;
    uint64_t body = 0;      // of the answer, so far
    uint64_t body_due = 0;  // of the request, unsent
    bool first_byte_told = false;
  };

  Stream* stream(int32_t id);
  void on_stream_close(Stream& stream, uint32_t error);

  const HttpRequest& request_;
  Events& events_;
  nghttp2_session* session_ = nullptr;
  std::vector<Stream> streams_;  // by number
  std::string host_, length_;
  std::string output_;
  bool open_ = false;
};

}  // namespace latchkey::bench
