#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "edge/transport.h"
#include "edge/upstream/client_tls.h"

struct bio_st;
struct bio_method_st;

namespace latchkey::edge {

// The client's side of TLS over another transport: for upstreams. First handshake(), then it is a
// Transport. Worker thread.
class ClientTlsSocket final : public Transport, private Transport::Events {
 public:
  // `ssl`: of ClientTls.
  ClientTlsSocket(std::unique_ptr<Transport> under, Clock& clock, ssl_st& ssl);
  ~ClientTlsSocket() override;

  // `done` comes once, from the loop; it may destroy this. "": it is established; else what is
  // wrong.
  void handshake(std::function<void(std::string why)> done);
  // What ALPN came to.
  bool speaks_http2() const;

  void set_events(Transport::Events* events) override { events_ = events; }
  void want(bool read, bool write) override;
  Moved read(std::span<char> into) override;
  Moved write(std::string_view bytes) override;
  bool ask_turn_end() override { return under_->ask_turn_end(); }
  void finish_writing() override;
  size_t unsent() const override;
  std::string error() const override { return error_; }

 private:
  static const bio_method_st* bio_method();
  int bio_read(char* into, int size);
  int bio_write(const char* bytes, int size);

  void on_readable() override;
  void on_writable() override;
  void on_turn_end() override;
  void step();
  void send_unsent();
  void fail(const std::string& why);
  std::string ssl_trouble() const;
  void update_interest();
  void come_again_if_hidden();

  Clock& clock_;
  const std::unique_ptr<Transport> under_;
  ssl_st* const ssl_;
  Transport::Events* events_ = nullptr;
  std::function<void(std::string)> done_;  // while shaking hands
  std::string unsent_;  // what `under_` did not take: one record, or a flight of the handshake
  std::string error_;
  Alarm again_;  // readable from BoringSSL's own buffer, or broken
  bool want_read_ = false;
  bool want_write_ = false;
  bool finishing_ = false;
  bool broken_ = false;
  bool ended_ = false;  // `under_` has reported its end
};

}  // namespace latchkey::edge
