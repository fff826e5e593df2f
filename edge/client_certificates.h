#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

struct ssl_st;
struct ssl_ctx_st;
struct x509_store_st;
struct stack_st_X509_NAME;

namespace latchkey::edge {

struct ClientCertificatesConfig;

// Who a client has proven to be. What upstreams are told of it in X-Client-Cert-*.
struct ClientIdentity {
  std::string subject;      // RFC 2253, printable ASCII; "" where it is longer than 4 KiB
  std::string fingerprint;  // SHA-256 of the certificate's DER, hex, lower case
  std::string serial;       // hex, lower case
  WallTime not_after{};
};

// For which hosts clients are asked for a certificate, and who vouches for those. A certificate
// that is shown is verified (chain, dates, purpose) wherever one is asked for; `required` only says
// whether there must be one. Immutable; shared by the workers.
class ClientCertificates {
 public:
  // Errors (kInvalid, kIo) name the file and what is wrong with it.
  static Result<std::shared_ptr<const ClientCertificates>> load(
      const ClientCertificatesConfig& config, const std::string& ca_file);
  ~ClientCertificates();
  ClientCertificates(const ClientCertificates&) = delete;

  // `host`: lower case, without port; "": a handshake without a name.
  bool asks(std::string_view host) const;
  bool required() const { return required_; }
  // What the answers of two clients may be compared by: hash of CAs and mode. Sessions are bound to
  // it, so that none goes on that was verified otherwise; the same on all that are configured so.
  const std::string& id() const { return id_; }

  // Makes the CAs known to a context, before its first connection.
  void install(ssl_ctx_st& context) const;
  // Makes a handshake that is about to begin ask. REQUIRES: its context has been installed.
  void ask(ssl_st& ssl) const;

 private:
  ClientCertificates() = default;

  bool required_ = false;
  std::vector<std::string> hosts_;  // empty: all; "a.test", or ".a.test" for what is below it
  std::string id_;
  x509_store_st* store_ = nullptr;
  stack_st_X509_NAME* names_ = nullptr;  // of the CAs, for clients to choose by
};

// Of an established connection that was asked; null: it has shown no certificate.
std::shared_ptr<const ClientIdentity> client_identity(ssl_st& ssl);
// Of a handshake that failed after it had asked: because of what was shown, or was not.
bool was_refused(const ssl_st& ssl);
// Ends an established connection whose certificate has expired since its session began.
void refuse_expired(ssl_st& ssl);

}  // namespace latchkey::edge
