#pragma once
#include <memory>

#include "edge/tls_policy.h"

struct ssl_ctx_st;
struct ssl_st;
struct ssl_early_callback_ctx;

namespace latchkey::edge {

class CertificateCompression;
class TicketKeys;

// Who answers for one connection's ClientHello. Called on the connection's worker, from within the
// handshake, and again when a parked handshake goes on: it must be idempotent.
class HelloHandler {
 public:
  enum class Answer { kServe, kPark, kRefuse };
  // kServe: chain and key are set on the SSL. kRefuse: alert() says how.
  virtual Answer on_client_hello(const ssl_early_callback_ctx& hello) = 0;
  virtual int alert() const = 0;               // the TLS alert to refuse with
  virtual bool answers_challenge() const = 0;  // this handshake is a CA's acme-tls/1 probe

 protected:
  ~HelloHandler() = default;
};

// What this context finds behind an SSL: its BIO's data is to be one.
struct TlsPeer {
  HelloHandler& handler;
};

// The one SSL_CTX of all HTTPS listeners: TLS 1.2 and 1.3, AEAD ciphers with forward secrecy, no
// session cache, tickets bound to the name. A reload makes another one for handshakes from then on;
// connections keep theirs.
class TlsContext {
 public:
  explicit TlsContext(const TlsPolicy& policy = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;

  // Before the first connection. They outlive it. Without them BoringSSL makes its own, which no
  // restart survives.
  void use_ticket_keys(const TicketKeys& keys);
  // Before the first connection. It outlives them. Without it certificates are sent as they are.
  void use_compression(CertificateCompression& compression);

  // Who is asked for a certificate; null: nobody.
  const std::shared_ptr<const ClientCertificates>& clients() const { return clients_; }

  // A server's SSL. Its BIO's data is a TlsPeer, whose handler answers the hello and outlives the
  // handshake.
  ssl_st* make_ssl() const;

 private:
  ssl_ctx_st* context_;
  const std::shared_ptr<const ClientCertificates> clients_;
};

}  // namespace latchkey::edge
