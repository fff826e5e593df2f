#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "acme/allowance.h"
#include "acme/challenges.h"
#include "acme/deadline.h"
#include "acme/dns_prover.h"
#include "acme/order.h"
#include "acme/pacer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "cache/renewal.h"

namespace latchkey::acme {

// A chain in PEM, and where the CA has others for the same certificate.
struct Chain {
  std::string url;
  std::string pem;
  std::vector<std::string> alternates;  // <= 8
};

// The ACME requests an issuance needs. The real one is AcmeCa; tests script a fake.
class Ca {
 public:
  virtual ~Ca() = default;
  // Sets the report's order_url as soon as the CA has accepted the order.
  virtual Task<Order> new_order(ServerName name) = 0;
  virtual Task<Order> fetch_order(std::string url) = 0;
  virtual Task<Authorization> fetch_authorization(std::string url) = 0;
  virtual Task<> accept(std::string challenge_url) = 0;
  virtual Task<Order> finalize(std::string order_url, std::string url, std::string csr) = 0;
  virtual Task<Chain> download(std::string url) = 0;
  virtual std::string key_authorization(const std::string& token) const = 0;
};

// What became known on the way, also when the issuance fails or is cancelled.
struct IssuanceReport {
  std::string order_url;
  std::string stage = "beginning";        // what it is doing, for who ends it by a time limit
  std::optional<ChallengeType> answered;  // the challenge that the CA was told to try
  bool resumed = false;                   // it is an order of an earlier life
  bool replaces = false;                  // the CA has accepted it as a renewal (RFC 9773, 5)
  bool replaces_refused = false;          // ... or did not want to hear of that
  std::optional<PendingOrder> stored;     // what the store has of it
  bool proof_failed = false;              // the CA has tried the challenge, and refused
  bool refused_away = false;              // ... while nobody was here to answer
  bool proven = false;                    // every authorization was found valid
  bool unprovable = false;                // not begun: no challenge of ours can prove the name
  bool dns_failed = false;                // our DNS did not take the record that the CA wants
  bool unpublished = false;               // ... and there was no other way
  bool slow = false;                      // dns-01, or the CA has been at it for 30 s
  bool judging = false;                   // the certificate is here and being looked at
  bool account_gone = false;              // it is worth another try with the account of then
  bool over = false;                      // the order will not come to anything any more
  bool storage_failed = false;            // ours, not the CA's doing
  std::optional<Problem> problem;         // the CA's word on why it failed
  std::optional<Throttle> throttle;       // ... if it told us to stay away
};

// The pace of polling: at once, then `first`, doubled up to 5 s; slower when the CA says so, and
// slower where what is left of the allowance would not last: the steps then grow faster.
class Pace {
 public:
  explicit Pace(Millis first) : delay_(first) {}
  // `steps`: how many polls the allowance still has; `refilled`: when it has one more.
  Millis next(std::optional<Millis> retry_after, int steps, Millis refilled);

 private:
  Millis delay_;
};

struct IssuanceRequest {
  ServerName name;
  std::vector<ChallengeType> types;  // the challenges that we can answer, the preferred one first
  std::string csr;                   // DER
  Deadline& deadline;  // a CA that wants us back later than that fails the order now; outlives us
  Millis first_poll{20};
  std::string resume{};             // the URL of an order to go on with; "": a new one is made
  std::function<void()> slow{};     // called when report.slow becomes true
  std::function<void()> ordered{};  // called when the CA has accepted a new order
  // Stores a new order, before any challenge is answered, and says in the report what is stored;
  // its failure ends the issuance.
  std::function<Task<>(std::string order_url)> keep{};
};

// What an issuance works with; all outlive it.
struct IssuanceParts {
  Ca& ca;
  Clock& clock;
  ChallengeTable& challenges;
  DnsProver* dns;  // null: dns-01 is not among the types
  Allowance& allowance;
  Log& log;
};

// Drives one order to a chain in PEM. The answer to a challenge stands in `challenges`, or in DNS,
// for as long as the CA may ask. An order that is resumed may be in any state; a challenge that the
// CA was told to try before is not accepted again, only answered.
Task<Chain> issue(IssuanceParts parts, IssuanceRequest request, IssuanceReport& report);

}  // namespace latchkey::acme
