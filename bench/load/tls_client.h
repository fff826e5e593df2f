#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace latchkey::bench {

// Where we connect to: one address, resolved once.
struct Endpoint {
  std::string text;  // as the user wrote it
  std::string host;  // of it, without brackets
  uint16_t port = 0;
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string numeric;  // "127.0.0.1:8443"
  bool loopback = false;
};

// "HOST:PORT", "[::1]:PORT". Errors: no such form, or the name has no address.
Result<Endpoint> resolve_target(const std::string& text);

// What all connections of a run have in common.
struct TlsSettings {
  enum class Version { kAny, kTls12, kTls13 };
  enum class Ending {
    kCloseNotify,  // close_notify with our last flight, then until the server has hung up
    kReset,        // RST at once: the server may never see the end of the handshake
    kFin,          // close_notify and FIN, nobody waits: leaves our port in TIME_WAIT
  };

  Version version = Version::kTls13;
  std::string groups{};   // "X25519:P-256"; empty: BoringSSL's own
  std::string ciphers{};  // of TLS 1.2, OpenSSL's names; empty: BoringSSL's own
  std::string ca_file{};  // PEM; empty: certificates are not looked at
  std::string alpn{};     // "h2,http/1.1"; empty: none
  bool plain = false;     // no TLS at all: a connection is TCP, and connected() once that is open
  bool tickets = false;   // Events::on_session is wanted
  Ending ending = Ending::kCloseNotify;
  uint32_t sources = 1;  // addresses of 127.0.0.0/8 to connect from, in turn; loopback only
};

// The SSL_CTX of a run; threads may share it.
class TlsClient {
 public:
  // Errors: an unknown group, a file that holds no certificate.
  static Result<TlsClient> make(const TlsSettings& settings, Endpoint target);
  TlsClient(TlsClient&& other) noexcept;
  TlsClient& operator=(TlsClient&&) = delete;
  ~TlsClient();

  const TlsSettings& settings() const { return settings_; }
  const Endpoint& target() const { return target_; }
  ssl_ctx_st& context() const { return *context_; }

 private:
  TlsClient(TlsSettings settings, Endpoint target, ssl_ctx_st* context);

  TlsSettings settings_;
  Endpoint target_;
  ssl_ctx_st* context_;
};

}  // namespace latchkey::bench
