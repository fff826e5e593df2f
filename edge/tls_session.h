#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "base/poller.h"
#include "edge/read_ahead.h"
#include "edge/send_gather.h"
#include "edge/tls_context.h"
#include "edge/transport.h"

struct bio_st;
struct bio_method_st;

namespace latchkey::edge {

// A client's TLS connection over a non-blocking socket: the one place that calls BoringSSL's I/O.
// What the socket has comes through the worker's ReadAhead; records written are gathered in its
// SendGather. First handshake(), then it is a Transport. Worker thread.
class TlsSession final : public Transport,
                         private TlsPeer,
                         private SendGather::Owner,
                         private ReadAhead::Owner,
                         private SocketWatch::Owner,
                         private Poller::Late::Owner {
 public:
  enum class Step {
    kDone,
    kWaiting,  // for the peer: call again at the next event
    kParked,   // for a certificate: call again once there is one
    kFailed,   // error() says why; an alert is on its way where one is due
  };

  // Takes the descriptor (non-blocking).
  TlsSession(uv_loop_t& loop, int fd, const TlsContext& context, HelloHandler& greeter,
             ReadAhead& ahead, SendGather& gather);
  ~TlsSession() override;

  Step handshake();
  // on_hangup() comes once when the peer hangs up although nobody reads.
  void watch_hangup(bool watched);

  ssl_st& ssl() { return *ssl_; }
  // The address of ours that the client came to, as local_address() has it.
  std::string local_address() const;

  void set_events(Events* events) override { events_ = events; }
  void want(bool read, bool write) override;
  Moved read(std::span<char> into) override;
  Moved write(std::string_view bytes) override;
  bool ask_turn_end() override;
  void finish_writing() override;
  size_t unsent() const override;
  std::string error() const override { return kept_ != nullptr ? kept_->error : ""; }

 private:
  enum class Need { kNothing, kRead, kWrite, kCertificate, kClosed, kBroken };

  // The funnel: runs one SSL_* call and says what it needs to go on.
  template <typename Call>
  Need ssl_call(Call call);

  static const bio_method_st* bio_method();
  static TlsSession& behind(bio_st* bio);
  int bio_read(char* into, int size);
  int bio_write(const char* bytes, int size);

  // What a connection has only while something does not go as it should.
  struct Kept {
    std::string unsent;  // what the kernel did not take: <= 64 KiB and one record
    size_t unsent_from = 0;
    std::string unread;  // what another connection has driven out of the worker's buffer
    size_t unread_from = 0;
    std::string error;
  };

  Kept& keep();
  void keep_no_longer();
  bool has_unsent() const { return kept_ != nullptr && !kept_->unsent.empty(); }
  bool has_unread() const { return kept_ != nullptr && !kept_->unread.empty(); }
  std::string_view unread(size_t limit);
  size_t unread() const;
  void keep_read(std::string_view bytes) override;
  void send_gathered(std::string_view bytes) override;
  size_t send_some(std::string_view bytes);
  void send_unsent();
  void after_send();
  void fail(std::string why);
  void update_watch();
  void come_again_if_hidden();
  void on_socket(uint8_t ready) override;
  void on_late() override;
  void deliver(bool readable, bool writable);

  const int fd_;
  ReadAhead& ahead_;
  SendGather& gather_;
  SocketWatch watch_;
  std::unique_ptr<Poller::Late> turn_end_;  // made when it is first asked for
  ssl_st* ssl_;
  Events* events_ = nullptr;
  std::unique_ptr<Kept> kept_;
  bool watches_hangup_ = false;
  bool want_read_ = false;
  bool want_write_ = false;
  bool handshaking_ = true;
  bool finishing_ = false;
  bool finished_ = false;  // and the peer has been told
  bool broken_ = false;
};

}  // namespace latchkey::edge
