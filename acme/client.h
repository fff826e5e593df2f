#pragma once
#include <memory>
#include <optional>
#include <string>

#include "acme/counts.h"
#include "acme/directory.h"
#include "acme/jws.h"
#include "acme/problem.h"
#include "acme/single_flight.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/task.h"

namespace latchkey::acme {

using DirectoryPtr = std::shared_ptr<const Directory>;

// A CA's answer to a signed request, of any HTTP status.
struct AcmeReply {
  std::string request;  // "POST https://ca.test/order", for messages
  int status = 0;
  std::string location;
  std::string content_type;
  std::string body;
  std::optional<Millis> retry_after;
  std::optional<Problem> problem;  // of every status but 2xx

  Error error() const { return problem->error(request); }
};

// The requests of RFC 8555 to one CA: its directory, its nonces, signed POSTs. Knows nothing of
// accounts or orders. Control thread; every request ends within 10 s and answers are bounded
// (1 MiB). Makes no request to a public CA where LATCHKEY_NO_PUBLIC_CA=1 is set.
class AcmeClient {
 public:
  // All outlive us.
  AcmeClient(std::string directory_url, HttpClient& http, Clock& clock, Log& log,
             AcmeCounts& counts);

  // Kept for an hour. Callers at the same time share one request.
  Task<DirectoryPtr> directory();

  // A POST signed by `key`; the nonce is our business, and so is another try when the CA rejects
  // it (5 of them). `kid`: the account's URL, or "" to send the public key itself. An error means
  // that no proper answer came; what the CA says is in the reply.
  Task<AcmeReply> post(AccountKey key, std::string kid, std::string url, std::string payload);
  // POST-as-GET. As it changes nothing, it is tried again (3 times) when no answer came, the CA had
  // trouble (5xx), or asked for a little patience (Retry-After of at most 30 s).
  Task<AcmeReply> fetch(AccountKey key, std::string kid, std::string url);

  const std::string& directory_url() const { return directory_url_; }

 private:
  Task<HttpReply> send(HttpRequest request);
  Task<DirectoryPtr> fetch_directory();
  Task<std::string> nonce();
  AcmeReply read(const HttpRequest& request, HttpReply reply) const;

  const std::string directory_url_;
  HttpClient& http_;
  Clock& clock_;
  Log& log_;
  AcmeCounts& counts_;

  DirectoryPtr directory_;  // null until it is asked for
  TimePoint directory_until_{};
  NoncePool nonces_;
  SingleFlight<DirectoryPtr> directory_flight_;
};

}  // namespace latchkey::acme
