#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "edge/http/http1_codec.h"
#include "edge/http/outbox.h"
#include "edge/transport.h"
#include "edge/upstream/origin_stream.h"

namespace latchkey::edge {

// One HTTP/1.1 connection to an upstream, the client's side: one request at a time. Owned by the
// exchange that uses it, or by the pool while it rests.
class OriginConnection final : public OriginStream, private Transport::Events {
 public:
  OriginConnection(std::unique_ptr<Transport> transport, EndpointPtr endpoint);
  ~OriginConnection() override;

  const Endpoint& endpoint() const override { return *endpoint_; }
  void send_head(Handler& handler, const RequestHead& head) override;
  void send_body(std::string_view bytes) override;
  void finish_request(const HeaderList& trailers) override;
  void finish_tunnel() override;
  bool full() override;
  void pause_response() override { pause(true); }
  void resume_response() override { pause(false); }
  bool reused() const override { return requests_ > 1; }
  bool tells_untouched() const override { return false; }
  // The response is whole, the request too, and the next one may follow.
  bool reusable() const override;

  // Rests: `gone` is called when the upstream closes it or says something unasked.
  void rest(std::function<void()> gone);
  // While it rests: the upstream has closed it or said something unasked. Costs a system call.
  bool stale();

 private:
  void on_readable() override;
  void on_writable() override;
  void on_turn_end() override;
  void on_bytes(std::string_view bytes);
  bool deliver(const Http1Event& event);
  void on_end();
  void fail(const std::string& why);
  void pause(bool paused);
  void sent();
  void flush();
  void update_interest();

  std::unique_ptr<Transport> transport_;
  const EndpointPtr endpoint_;
  Handler* handler_ = nullptr;
  std::function<void()> gone_;
  Http1ResponseParser parser_;
  std::string in_;  // a head or trailers that are not whole: <= 40 KiB and one read
  Outbox out_;
  unsigned requests_ = 0;
  unsigned interims_ = 0;  // of this response: at most kMaxInterims
  Body::Kind request_body_ = Body::Kind::kNone;
  bool request_done_ = true;
  bool response_done_ = true;
  bool began_ = false;
  bool paused_ = false;
  bool was_full_ = false;
  bool leaves_later_ = false;  // what is in out_: at the turn's end
  bool tunnel_ = false;
  bool ending_ = false;  // finish_tunnel() was called
  bool stray_ = false;   // bytes behind the response
  bool read_ended_ = false;
  // Expires with us: tells code on the stack that a handler destroyed its object.
  std::shared_ptr<Unit> alive_ = std::make_shared<Unit>();
};

}  // namespace latchkey::edge
