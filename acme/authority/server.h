#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "acme/authority/authority.h"
#include "acme/authority/probes.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/authority_store.h"

namespace latchkey::acme {

struct AcmeServerOptions {
  // May certificates be had for that name? A wildcard is asked about as it is.
  std::function<bool(const ServerName&)> allows;
  bool eab_required = false;
  std::map<std::string, std::string> eab_keys{};  // kid -> HMAC key, secret
  uint16_t http_port = 80;
  uint16_t tls_port = 443;
  // Every challenge that is answered counts as proven, nobody is looked at. For load tests.
  bool trusting = false;
};

// An RFC 8555 server for one authority (with RFC 8737, 8738 and 9773). Control thread.
//
// What a client has seen is on disk, save for nonces, limits of rate and which certificate an order
// replaces. Challenges are looked at, and certificates made, by tasks of our own: who goes away
// stops nothing. A look that a restart has cut off is taken up by the next request for it.
class AcmeServer {
 public:
  // All outlive us; the tasks of handle() do not.
  AcmeServer(AcmeServerOptions options, Authority& authority, AuthorityStore& store, Probes& probes,
             Clock& clock, Log& log);
  ~AcmeServer();
  AcmeServer(const AcmeServer&) = delete;

  // `request.url`: whole, as the client asked for it ("https://ca.example:8443/acme/local/order/x";
  // all URLs that we hand out begin as it does: scheme, host, port, "/acme/NAME"). Header names in
  // lower case. `client`: its address, for limits. Never fails as a task: what is wrong is a
  // problem document (RFC 7807). Bodies are at most kMaxBody; the host refuses longer ones before.
  Task<HttpReply> handle(HttpRequest request, std::string client);
  static constexpr size_t kMaxBody = 64 << 10;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
