#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "acme/jws.h"
#include "base/json.h"
#include "base/result.h"
#include "cache/private_key.h"
#include "tests/support/http_exchange.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {

// A client of an ACME server, over one kept connection. It takes each step as soon as it can and
// proves nothing: the server must believe it, or look at what somebody else answers.
class AcmeUser {
 public:
  struct Server {
    std::string directory;  // URL; its host is 127.0.0.1, whatever it is called
    std::string name;       // that its certificate must be for
    std::string roots;      // PEM
  };

  // `key`: the account's.
  AcmeUser(Server server, acme::AccountKey key);
  ~AcmeUser();
  AcmeUser(const AcmeUser&) = delete;

  // Registers the account, or finds it. Its URL.
  Result<std::string> sign_up();
  // Instead, for who knows it.
  void sign_in(std::string account) { account_ = std::move(account); }

  struct Obtained {
    std::string order;  // URL
    std::string chain;  // PEM
  };
  // From the new order to the chain. REQUIRES: signed up or in.
  Result<Obtained> obtain(const std::string& name);
  // `leaf`: DER.
  Result<> revoke(std::string_view leaf, int reason);
  // POST-as-GET for "".
  Result<HttpAnswer> post(const std::string& url, const std::string& payload = "");

  const PrivateKey& certificate_key() const { return certificate_key_; }
  // After an error a connection is made anew by the next call.
  size_t requests() const { return requests_; }
  size_t bad_nonces() const { return bad_nonces_; }

 private:
  Result<> connect();
  Result<HttpAnswer> exchange(std::string_view method, const std::string& url,
                              std::string_view body);
  Result<HttpAnswer> sign_and_post(const std::string& url, const std::string& payload, bool by_key);
  Result<JsonValue> read(const std::string& url, const std::string& payload = "");
  Result<JsonValue> wait(const std::string& url, std::string_view status);

  const Server server_;
  const acme::AccountKey key_;
  const PrivateKey certificate_key_ = generate_p256_key();
  std::string account_;  // URL
  std::string nonce_;
  JsonValue directory_;
  std::unique_ptr<TlsClient> client_;
  std::optional<HttpConversation> conversation_;
  size_t requests_ = 0, bad_nonces_ = 0;
};

}  // namespace latchkey::test
