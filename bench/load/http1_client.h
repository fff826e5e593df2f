#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "bench/load/http_client.h"

namespace latchkey::bench {

// HTTP/1.1, one request at a time.
class Http1Client final : public HttpClient {
 public:
  // Both outlive it.
  Http1Client(const HttpRequest& request, Events& events);
  ~Http1Client() override;

  void begin(std::string_view host) override;
  void request(uint32_t number) override;
  void flush() override;
  bool take(std::string_view bytes) override;
  void ended() override;
  bool open() const override { return open_; }

 private:
  struct Parser;

  bool on_message_begin();
  void on_message_complete(int status, bool keep_alive);
  void write_request();

  const HttpRequest& request_;
  Events& events_;
  std::unique_ptr<Parser> parser_;
  std::string host_, text_;  // whose request this is, and it
  uint64_t body_ = 0;        // of the answer, so far
  uint32_t number_ = 0;
  bool under_way_ = false;
  bool unsent_ = false;
  bool open_ = false;
  bool first_byte_told_ = false;
};

}  // namespace latchkey::bench
