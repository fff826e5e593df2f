#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acme/allowance.h"
#include "acme/counts.h"
#include "acme/directory.h"
#include "acme/jws.h"
#include "acme/pacer.h"
#include "acme/problem.h"
#include "acme/single_flight.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/task.h"

namespace latchkey::acme {

using DirectoryPtr = std::shared_ptr<const Directory>;

// A request that is to be signed.
struct AcmeRequest {
  Resource resource = Resource::kOrder;
  AccountKey key;
  std::string kid;  // the account's URL, or "" to send the public key itself
  std::string url;
  std::string payload{};           // "" makes a POST-as-GET
  std::string about{};             // the name that is ordered, or ""
  Allowance* allowance = nullptr;  // that each try takes of; null: none. Outlives the request
};

// A CA's answer, of any HTTP status.
struct AcmeReply {
  std::string request;  // "POST https://ca.test/order", for messages
  int status = 0;
  std::string location;
  std::string content_type;
  std::vector<std::string> links{};  // its Link headers (link_header.h); <= 16
  std::string body;
  std::optional<Millis> retry_after;
  std::optional<Problem> problem;    // of every status but 2xx
  std::optional<Throttle> throttle;  // of a 429, and of a 503 with Retry-After

  Error error() const { return problem->error(request); }
};

// The requests of RFC 8555 to one CA: its directory, its nonces, signed POSTs. Knows nothing of
// accounts or orders. Control thread; every request ends within 10 s and answers are bounded
// (1 MiB). Makes no request to a public CA where LATCHKEY_NO_PUBLIC_CA=1 is set.
//
// Each request waits for its allowance (save what an order needs after its proof), then for the
// pacer's leave, and the pacer hears when the CA tells us to stay away. Where it has none to give,
// the request is not made: kThrottled with its retry_after.
class AcmeClient {
 public:
  // All outlive us. `pacer`: null for none.
  AcmeClient(std::string directory_url, HttpClient& http, Clock& clock, Log& log,
             AcmeCounts& counts, Pacer* pacer = nullptr);

  // Kept for an hour, and used on where the CA does not give it anew. Callers at the same time
  // share one request.
  Task<DirectoryPtr> directory(Allowance* allowance = nullptr);

  // The nonce is our business, and so is another try when the CA rejects it (5 of them, and 8
  // requests in all). An error means that no proper answer came; what the CA says is in the reply.
  Task<AcmeReply> post(AcmeRequest request);
  // POST-as-GET. As it changes nothing, it is tried again (3 times) when no answer came, the CA had
  // trouble (5xx), or it or the pacer asked for a little patience (at most 30 s).
  Task<AcmeReply> fetch(AcmeRequest request);
  // A GET that nobody signs; for what is public (RFC 9773).
  Task<AcmeReply> get(Resource resource, std::string url);

  const std::string& directory_url() const { return directory_url_; }
  // What finding or changing an account takes is nobody's: kAccountRequests in any 25 s at most,
  // waited for. Their count so far is for who had to wait for them.
  static constexpr size_t kAccountRequests = 12;
  size_t account_requests() const { return account_requests_; }

 private:
  Task<AcmeReply> send(Resource resource, std::string about, HttpRequest request,
                       Allowance* allowance);
  Task<> await_turn(Resource resource, Allowance* allowance);
  Task<HttpReply> exchange(HttpRequest request);
  void tell(const AcmeReply& reply, Millis took);
  AcmeReply read(std::string request, HttpReply reply) const;
  void heed(Resource resource, const std::string& about, AcmeReply& reply);
  Task<DirectoryPtr> renew_directory();
  Task<DirectoryPtr> fetch_directory();
  void tell_changed_terms(const Directory& fetched);
  Task<std::string> nonce(Allowance* allowance, int& sent);

  const std::string directory_url_;
  HttpClient& http_;
  Clock& clock_;
  Log& log_;
  AcmeCounts& counts_;
  Pacer* const pacer_;  // null: none

  DirectoryPtr directory_;  // null until it is asked for
  TimePoint directory_until_{};
  Allowance accounts_;
  size_t account_requests_ = 0;
  NoncePool nonces_;
  SingleFlight<DirectoryPtr> directory_flight_;
};

}  // namespace latchkey::acme
