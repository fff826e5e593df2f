#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace latchkey::edge {

// What TLS towards upstreams takes, as text and PEM. Holds a private key: not for showing.
struct ClientTlsOptions {
  std::optional<std::string> ca{};   // PEM, who may have signed; none: the system's authorities
  std::string server_name{};         // "": the upstream's host
  std::string certificate{}, key{};  // PEM, ours; "": none
};

// TLS 1.2 and 1.3 towards upstreams, whose certificates are always verified: the chain, the dates,
// and the name (RFC 9525). Immutable, any thread.
class ClientTls {
 public:
  // Errors (kInvalid) name what cannot be used.
  static Result<std::shared_ptr<const ClientTls>> make(const ClientTlsOptions& options);
  // In the place of one that could not be made: nothing can be connected to with it.
  static std::shared_ptr<const ClientTls> unusable(std::string why);
  const std::string& trouble() const { return trouble_; }  // "": it can be used
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;

  // REQUIRES: no trouble(). A client's SSL for `host` (a name, or an address without brackets). It
  // offers HTTP/1.1 by ALPN, and before it, where asked to, HTTP/2. Null: `host` is none that TLS
  // can name.
  ssl_st* make_ssl(const std::string& host, bool offer_http2) const;
  // The name to verify where it is not the upstream's host; "" elsewhere.
  const std::string& server_name() const { return server_name_; }
  // Equal for equal options. A digest: it shows nothing of them.
  const std::string& identity() const { return identity_; }

 private:
  ClientTls(ssl_ctx_st* context, std::string server_name, std::string identity,
            std::string trouble);

  ssl_ctx_st* const context_;  // null: trouble_ says why
  const std::string server_name_;
  const std::string identity_;
  const std::string trouble_;
};

}  // namespace latchkey::edge
