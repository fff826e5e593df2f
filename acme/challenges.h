#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "base/server_name.h"
#include "cache/certificate.h"

namespace latchkey::acme {

// The challenges that are pending right now. The control thread offers, workers answer: one mutex,
// held for a look-up, and reached only by acme-tls/1 handshakes and /.well-known/acme-challenge/.
// Bounded by the orders in flight.
class ChallengeTable {
 public:
  // Takes the challenge out of the table when it goes.
  class Offer {
   public:
    Offer();
    Offer(Offer&&) noexcept;
    Offer& operator=(Offer&&) noexcept;
    ~Offer();

   private:
    friend class ChallengeTable;
    struct Entry;
    explicit Offer(std::unique_ptr<Entry> entry);
    std::unique_ptr<Entry> entry_;
  };

  ChallengeTable();
  ~ChallengeTable();
  ChallengeTable(const ChallengeTable&) = delete;

  // RFC 8737: `key_authorization` becomes a self-signed certificate with the critical
  // acmeIdentifier extension. That of an address is found by its reverse_name(), which is what the
  // CA says as SNI (RFC 8738, 6).
  [[nodiscard]] Result<Offer> offer_tls_alpn(ServerName name, std::string_view key_authorization);
  // RFC 8555, 8.3. That of an address is found by the address (ServerName::parse_ip() of the Host
  // without port and brackets).
  [[nodiscard]] Offer offer_http(ServerName name, std::string token, std::string key_authorization);

  // Any thread. Null / nullopt when nothing is pending for exactly that.
  CertificatePtr find_tls_alpn(const ServerName& name);
  std::optional<std::string> find_http(const ServerName& name, std::string_view token);

  Counter tls_alpn_answers;  // handed out
  Counter http_answers;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace latchkey::acme
