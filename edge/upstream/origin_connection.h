#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "edge/http/http1_codec.h"
#include "edge/http/outbox.h"
#include "edge/routes.h"
#include "edge/transport.h"

namespace latchkey::edge {

// One HTTP/1.1 connection to an upstream, the client's side: one request at a time, its response
// by events. Owned by the exchange that uses it, or by the pool while it rests.
class OriginConnection final : private Transport::Events {
 public:
  // Events come from the loop, never from within a call to the connection. Each may destroy it.
  class Handler {
   public:
    virtual void on_response_interim(const ResponseHead& head) = 0;
    virtual void on_response_head(ResponseHead& head) = 0;
    virtual void on_response_body(std::string_view bytes) = 0;
    virtual void on_response_end(const HeaderList& trailers) = 0;
    virtual void on_response_pause() = 0;  // what was read is delivered: a time to flush
    virtual void on_request_writable() = 0;
    // Broken, or not HTTP: only to be dropped. `began`: bytes of the response had come.
    virtual void on_origin_failure(const std::string& why, bool began) = 0;

   protected:
    ~Handler() = default;
  };

  OriginConnection(std::unique_ptr<Transport> transport, Origin origin);
  ~OriginConnection();
  OriginConnection(const OriginConnection&) = delete;

  const Origin& origin() const { return origin_; }

  // Begins a request. `head.body` says how its body goes; kUntilClose does not.
  void send_head(Handler& handler, const RequestHead& head);
  void send_body(std::string_view bytes);
  void finish_request(const HeaderList& trailers);
  // After a 101: our side of the tunnel ends. (send_body() and on_response_body() carry it.)
  void finish_tunnel();
  // 64 KiB wait to be sent: stop, on_request_writable() will come.
  bool full();
  void pause_response() { pause(true); }
  void resume_response() { pause(false); }

  // The response is whole, the request too, and the next one may follow.
  bool reusable() const;
  // Rests: `gone` is called when the upstream closes it or says something unasked.
  void rest(std::function<void()> gone);
  // While it rests: the upstream has closed it or said something unasked. Costs a system call.
  bool stale();
  // Whether it had served a request before: its upstream may be closing it right now.
  bool reused() const { return requests_ > 1; }

 private:
  void on_readable() override;
  void on_writable() override;
  void on_bytes(std::string_view bytes);
  bool deliver(const Http1Event& event);
  void on_end();
  void fail(const std::string& why);
  void pause(bool paused);
  void sent();
  void update_interest();

  std::unique_ptr<Transport> transport_;
  const Origin origin_;
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
  bool tunnel_ = false;
  bool ending_ = false;  // finish_tunnel() was called
  bool stray_ = false;   // bytes behind the response
  bool read_ended_ = false;
  // Expires with us: tells code on the stack that a handler destroyed its object.
  std::shared_ptr<Unit> alive_ = std::make_shared<Unit>();
};

}  // namespace latchkey::edge
