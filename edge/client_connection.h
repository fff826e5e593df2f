#pragma once
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/grant.h"
#include "edge/fallback.h"
#include "edge/http/stream.h"
#include "edge/parking.h"
#include "edge/tls_session.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

class HttpSession;

// One connection of a client to an HTTPS listener: TLS handshake, parked while its certificate is
// obtained, then HTTP. While it is parked it is this object and its TlsSession, nothing else.
// Owned by the Worker; worker thread.
class ClientConnection final : public HostRules, private HelloHandler, private Transport::Events {
 public:
  struct Context {
    uv_loop_t& loop;
    Clock& clock;
    const WorkerShared& shared;
    const std::shared_ptr<const TlsContext>& tls;     // the newest
    Parking& parking;                                 // Slot::kMain's
    Parking& rsa_parking;                             // Slot::kRsa's; the same bounds
    const std::shared_ptr<const Fallback>& fallback;  // the newest; null inside: there is none
    ReadAhead& ahead;
    SendGather& gather;
    // Starts HTTP on an established connection.
    std::function<std::unique_ptr<HttpSession>(Transport&, ClientConnection&)> start_http;
    // Buries the connection: out of its callbacks, soon.
    std::function<void(ClientConnection&)> bury;
  };

  // Takes the descriptor. `peer`: the client's address as text, without port; what counts as the
  // source of the handshake.
  ClientConnection(const Context& context, int fd, std::string peer);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;

  // Ends as soon as what is being answered is answered.
  void drain();
  // The same, but what is idle, or greets, is left time.
  void drain_gently();

  const std::string& peer() const { return peer_; }
  // After the handshake: the name asked for, and the certificate that was served.
  const std::optional<ServerName>& server_name() const { return server_name_; }
  const CertificatePtr& certificate() const { return certificate_; }
  // HTTP/2 was agreed upon (RFC 7301), else HTTP/1.1.
  bool speaks_http2();
  const char* tls_version();  // "TLSv1.3"
  // What all its requests are answered with: it was served the parking certificate;
  // else null.
  const Notice* notice() const { return notice_.get(); }

  bool covers(std::string_view host) const override;
  // May it carry requests for `host`? Not where that asks, by now, for a certificate that this
  // handshake was not asked for.
  bool may_carry(std::string_view host) const;
  // The name of the handshake is remembered when the cache has forgotten it.
  GrantPtr grant_of(std::string_view host) const override;
  // What upstreams of `host` are told.
  ClientProof proof_of(std::string_view host) const override;
  bool asks_any() const override { return context_.tls->clients() != nullptr; }

  void close();

 private:
  friend class Worker;

  Answer on_client_hello(const ssl_early_callback_ctx& hello) override;
  int alert() const override { return alert_; }
  bool answers_challenge() const override { return challenge_; }

  // While its handshake lasts: a visitor of the certificate that it waits for.
  struct Visit final : Parked {
    explicit Visit(ClientConnection& c) : connection(c) {}
    void resume(const Result<CertificatePtr>& outcome) override { connection.resume(outcome); }
    ClientConnection& connection;
  };
  void resume(const Result<CertificatePtr>& outcome);

  void on_readable() override { go_on(); }
  void on_writable() override { go_on(); }
  void on_hangup() override;

  void go_on();  // with the handshake
  void established();
  // What the client has shown of itself is as it should be.
  bool take_identity();
  // Asks for a client's certificate where `host` does; the rules that sessions are bound to.
  std::string_view ask_client(ssl_st& ssl, std::string_view host);
  Answer greet_without_name(ssl_st* ssl);
  Answer go_on_after_parking(ssl_st* ssl);
  Parking& parking() const;
  // In slot_; a client without ECDSA that finds nothing there is told of Slot::kMain where that is
  // all that it will get.
  CacheHit look_up(const ServerName& name) const;
  // Of no use to a handshake: there is none, or it has ended and is not the operator's own.
  bool is_missing(const CacheHit& hit) const;
  Answer park();
  Answer serve(CertificatePtr certificate);
  Answer refuse(int alert);
  void unpark();

  const Context& context_;
  const ConnectionPlace place_in_;
  const std::string peer_;
  const std::shared_ptr<const ClientCertificates> clients_;  // of its context; null: nobody asks
  TlsSession tls_;
  Alarm deadline_;
  std::optional<ServerName> server_name_;
  std::unique_ptr<Visit> visit_;
  std::unique_ptr<const Result<CertificatePtr>> outcome_;  // what the control thread said
  Slot slot_ = Slot::kMain;  // of the certificates that the client can use
  CertificatePtr certificate_;
  GrantPtr grant_;                                  // of the handshake
  std::shared_ptr<const ClientIdentity> identity_;  // null: no certificate was shown
  std::unique_ptr<const Notice> notice_;
  std::unique_ptr<HttpSession> http_;
  std::list<ClientConnection>::iterator place_;  // in the worker's list
  int alert_ = 0;
  bool challenge_ = false;
  bool asked_ = false;  // for a client's certificate
  bool wants_staple_ = false;
  bool stapled_ = false;
  bool by_address_ = false;  // no SNI: served what there is for the address
  bool parked_ = false;
  bool buried_ = false;
};

}  // namespace latchkey::edge
