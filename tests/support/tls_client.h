#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache/certificate.h"
#include "tests/support/byte_stream.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace latchkey::test {

// What a client learned from a handshake. `verified`: the chain leads to the given roots, and the
// certificate is for the name.
struct Handshake {
  bool done = false;
  bool verified = false;
  bool resumed = false;
  int alert = -1;      // the fatal alert that the server sent: 112 unrecognized_name, …
  std::string error;   // "" when done
  std::string serial;  // of the leaf, hex, lower case
  std::string alpn;
  bool rsa = false;              // the leaf's key
  std::string public_key;        // of the leaf, DER
  std::string staple;            // the OCSP response that came with it, DER; "" for none
  std::chrono::seconds left{0};  // of the leaf's life when the handshake was done; < 0: expired
  Millis took{0};
};

namespace alert {
constexpr int kHandshakeFailure = 40;
constexpr int kInternalError = 80;
constexpr int kUnrecognizedName = 112;
}  // namespace alert

using TlsSession = std::shared_ptr<ssl_session_st>;

struct TlsOptions {
  uint16_t port = 0;
  std::string sni;    // "" for none; sent as it is
  std::string name;   // or address, that the certificate must be for; "" means `sni`
  std::string roots;  // PEM
  std::vector<std::string> alpn{};
  std::string before{};  // sent as it is before the handshake
  TlsSession session{};  // to resume
  CertificatePtr own{};  // shown to a server that asks for one
  bool only_tls12 = false;
  bool only_rsa = false;    // verifies no other signatures
  bool want_staple = true;  // asks for an OCSP response
  Millis limit{30'000};     // for each wait
};

// A TLS connection to 127.0.0.1, made in the constructor.
class TlsClient final : public ByteStream {
 public:
  explicit TlsClient(const TlsOptions& options);
  ~TlsClient() override;

  const Handshake& handshake() const { return handshake_; }
  bool write(std::string_view bytes) override;
  std::optional<std::string> read() override;
  void finish_writing();  // close_notify

  // The newest ticket. With TLS 1.3 tickets come behind the first bytes read.
  TlsSession session() const;

 private:
  Fd fd_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::shared_ptr<ssl_st> ssl_;
  Handshake handshake_;
};

namespace tls_internal {

// What TlsClient and TlsSwarm share. A context verifies against `roots` without ending the
// handshake when that fails.
std::shared_ptr<ssl_ctx_st> make_context(const std::string& roots);
std::shared_ptr<ssl_st> make_connection(ssl_ctx_st* context, int fd, const TlsOptions& options);
// After SSL_do_handshake returned `result`: null when it wants to go on.
std::optional<Handshake> judge(ssl_st* ssl, int result);

}  // namespace tls_internal
}  // namespace latchkey::test
