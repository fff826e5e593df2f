#pragma once
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "edge/http/stream.h"
#include "edge/parking.h"
#include "edge/tls_session.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

class Http1Session;

// One connection of a client to an HTTPS listener: TLS handshake, parked while its certificate is
// obtained, then HTTP. While it is parked it is this object and its TlsSession, nothing else.
// Owned by the Worker; worker thread.
class ClientConnection final : private HelloHandler, private Parked, private Transport::Events {
 public:
  struct Context {
    uv_loop_t& loop;
    Clock& clock;
    const WorkerShared& shared;
    Parking& parking;
    SendGather& gather;
    // Starts HTTP on an established connection.
    std::function<std::unique_ptr<Http1Session>(Transport&, ClientConnection&)> start_http;
    // Buries the connection: out of its callbacks, soon.
    std::function<void(ClientConnection&)> bury;
  };

  // Takes the descriptor. `peer`: the client's address as text, without port.
  ClientConnection(const Context& context, int fd, std::string peer);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;

  // Ends as soon as what is being answered is answered.
  void drain();

  const std::string& peer() const { return peer_; }
  // After the handshake: the name asked for, and the certificate that was served.
  const std::optional<ServerName>& server_name() const { return server_name_; }
  const CertificatePtr& certificate() const { return certificate_; }

  void close();

 private:
  friend class Worker;

  Answer on_client_hello(const ssl_early_callback_ctx& hello) override;
  int alert() const override { return alert_; }
  bool answers_challenge() const override { return challenge_; }

  void resume(const Result<CertificatePtr>& outcome) override;

  void on_readable() override { go_on(); }
  void on_writable() override { go_on(); }

  void go_on();  // with the handshake
  void established();
  Answer serve(CertificatePtr certificate);
  Answer refuse(int alert);
  Answer refuse_by(const Error& why);
  void unpark();

  const Context& context_;
  const ConnectionPlace place_in_;
  const std::string peer_;
  TlsSession tls_;
  Alarm deadline_;
  std::optional<ServerName> server_name_;
  std::optional<Result<CertificatePtr>> outcome_;  // what the control thread said
  CertificatePtr certificate_;
  std::unique_ptr<Http1Session> http_;
  std::list<std::unique_ptr<ClientConnection>>::iterator place_;  // in the worker's list
  int alert_ = 0;
  bool challenge_ = false;
  bool parked_ = false;
  bool buried_ = false;
};

}  // namespace latchkey::edge
