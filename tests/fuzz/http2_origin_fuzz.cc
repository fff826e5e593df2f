// Whatever an upstream says on an HTTP/2 connection, however it is cut into reads: each request
// gets one end, and a response that is passed on means one thing when it is written as HTTP/1.1.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "edge/http/http1_codec.h"
#include "edge/http/http1_writer.h"
#include "edge/upstream/http2_origin.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

class Caller final : public OriginStream::Handler {
 public:
  void begin(Http2Origin& origin, bool upload) {
    if (!origin.has_room()) return;
    RequestHead head;
    head.method = upload ? "POST" : "GET";
    head.target = "/";
    head.authority = "a.test";
    head.scheme = "https";
    if (upload) head.body.kind = Body::Kind::kChunked;
    stream_ = origin.open();
    stream_->send_head(*this, head);
    if (upload) {
      stream_->send_body(std::string(100'000, 'x'));
    } else {
      stream_->finish_request({});
    }
  }
  void resume() {
    if (stream_ != nullptr) stream_->resume_response();
  }
  void leave() { stream_.reset(); }

 private:
  void on_response_interim(const ResponseHead& head) override {
    if (answered_ || head.status < 100 || head.status > 199) std::abort();
  }
  void on_response_head(ResponseHead& head) override {
    if (std::exchange(answered_, true)) std::abort();
    std::string bytes;
    write_head(bytes, head, {.body = head.body});
    Http1ResponseParser again({.line = 1 << 20, .head = 1 << 20, .fields = 200});
    again.expect(false, false);
    const Http1Event event = again.next(bytes);
    if (event.kind != Http1Event::Kind::kHead || again.head().status != head.status ||
        again.head().headers.size() != head.headers.size()) {
      std::abort();
    }
  }
  void on_response_body(std::string_view) override {
    if (!answered_) std::abort();
    stream_->pause_response();
  }
  void on_response_end(const HeaderList&) override {
    if (!answered_) std::abort();
    stream_.reset();
  }
  void on_response_pause() override {}
  void on_request_writable() override { stream_->finish_request({}); }
  void on_origin_failure(const OriginFailure& failure) override {
    if (failure.began && failure.untouched) std::abort();
    stream_.reset();
  }

  std::unique_ptr<OriginStream> stream_;
  bool answered_ = false;
};

}  // namespace
}  // namespace latchkey::edge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  using namespace latchkey::edge;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  ManualClock clock;
  auto transport = std::make_unique<FakeTransport>();
  FakeTransport& wire = *transport;
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->host = "app.test:80";
  auto origin = std::make_shared<Http2Origin>(std::move(transport), clock, endpoint);
  std::array<Caller, 3> callers;
  for (Caller& caller : callers) caller.begin(*origin, &caller == &callers.back());
  while (!input.empty()) {
    const size_t cut = 1 + static_cast<uint8_t>(input.front()) % 64;
    input.remove_prefix(1);
    wire.say(input.substr(0, cut));
    input.remove_prefix(std::min(cut, input.size()));
    wire.deliver();
    clock.advance(Millis(0));
    callers.front().resume();
  }
  callers[1].leave();
  wire.hang_up();
  wire.deliver();
  return 0;
}
