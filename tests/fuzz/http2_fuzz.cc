// Whatever a client sends on an HTTP/2 connection, however it is cut into reads: what reaches an
// exchange means one thing when it is written as HTTP/1.1.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "edge/http/http1_codec.h"
#include "edge/http/http1_writer.h"
#include "edge/http/http2_session.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

// Its request must be read as it was meant; then it echoes.
class Echo final : public Exchange {
 public:
  Echo(RequestHead head, ResponseStream& stream) : head_(std::move(head)), stream_(stream) {
    RequestHead plain = head_;
    for (const char* name : {"expect", "te"}) plain.headers.remove(name);
    plain.upgrade.clear();
    std::string bytes;
    write_head(bytes, plain);
    Http1RequestParser again({.line = 1 << 20, .head = 1 << 20, .fields = 200});
    const Http1Event event = again.next(bytes);
    // Methods are the one thing that HTTP/1.1 knows fewer of here.
    if (event.kind == Http1Event::Kind::kRefused && again.refusal().status == 501) return;
    if (event.kind != Http1Event::Kind::kHead || event.consumed != bytes.size()) std::abort();
    const RequestHead& read = again.head();
    if (read.method != head_.method || read.target != head_.target ||
        read.authority != head_.authority || read.body.kind != head_.body.kind ||
        read.body.length != head_.body.length || read.headers.size() != plain.headers.size()) {
      std::abort();
    }
  }
  void start() override {
    if (head_.body.kind == Body::Kind::kLength) stream_.pause_body();
    ResponseHead head;
    head.status = head_.upgrade.empty() ? 200 : 101;
    if (head_.upgrade.empty()) head.body.kind = Body::Kind::kChunked;
    stream_.send_head(head);
    stream_.resume_body();
  }
  void on_body(std::string_view bytes) override {
    stream_.send_body(bytes);
    if (stream_.full()) stream_.pause_body();
  }
  void on_request_end(const HeaderList& trailers) override {
    const HeaderList last = trailers;
    stream_.finish(last);
  }
  void on_writable() override { stream_.resume_body(); }

 private:
  const RequestHead head_;
  ResponseStream& stream_;
};

void run(std::string_view bytes, size_t step) {
  ManualClock clock;
  FakeTransport transport;
  transport.max_read = step;
  const SessionContext context{
      clock, [](RequestHead head, ResponseStream& to) -> std::unique_ptr<Exchange> {
        return std::make_unique<Echo>(std::move(head), to);
      }};
  std::unique_ptr<Http2Session> session;
  session = std::make_unique<Http2Session>(transport, context, ClientInfo{"192.0.2.1", true, {}},
                                           [&session] { session.reset(); });
  transport.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  transport.say(bytes);
  transport.deliver();
  clock.advance(Millis(1));
  transport.deliver();
  if (session != nullptr) session->drain();
  clock.advance(Millis(70'000));
  transport.deliver();
}

}  // namespace
}  // namespace latchkey::edge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const size_t step : {size + 64, size_t{5}}) latchkey::edge::run(bytes, step);
  return 0;
}
