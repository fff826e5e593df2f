#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "acme/challenges.h"
#include "acme/order.h"
#include "acme/pacer.h"
#include "base/clock.h"
#include "base/task.h"

namespace latchkey::acme {

// The ACME requests an issuance needs. The real one is AcmeCa; tests script a fake.
class Ca {
 public:
  virtual ~Ca() = default;
  virtual Task<Order> new_order(ServerName name) = 0;
  virtual Task<Order> fetch_order(std::string url) = 0;
  virtual Task<Authorization> fetch_authorization(std::string url) = 0;
  virtual Task<> accept(std::string challenge_url) = 0;
  virtual Task<Order> finalize(std::string order_url, std::string url, std::string csr) = 0;
  virtual Task<std::string> download(std::string url) = 0;
  virtual std::string key_authorization(const std::string& token) const = 0;
};

// What became known on the way, also when the issuance fails or is cancelled.
struct IssuanceReport {
  std::string order_url;
  std::string stage = "beginning";        // what it is doing, for who ends it by a time limit
  std::optional<ChallengeType> answered;  // the challenge that the CA was told to try
  bool proof_failed = false;              // ... and tried, and refused
  bool proven = false;                    // every authorization was found valid
  bool slow = false;                      // the CA has been making the certificate for 30 s
  bool judging = false;                   // the certificate is here and being looked at
  bool storage_failed = false;            // ours, not the CA's doing
  std::optional<Problem> problem;         // the CA's word on why it failed
  std::optional<Throttle> throttle;       // ... if it told us to stay away
};

// The pace of polling: at once, then `first`, doubled up to 5 s; slower when the CA says so.
class Pace {
 public:
  explicit Pace(Millis first) : delay_(first) {}
  Millis next(std::optional<Millis> retry_after);

 private:
  Millis delay_;
};

struct IssuanceRequest {
  ServerName name;
  std::vector<ChallengeType> types;  // the challenges that we can answer, the preferred one first
  std::string csr;                   // DER
  TimePoint deadline;                // a CA that wants us back later than that fails the order now
  Millis first_poll{20};
  std::function<void()> slow{};     // called when report.slow becomes true
  std::function<void()> ordered{};  // called when the CA has accepted the order
};

// Drives one order to a chain in PEM. The answer to a challenge stands in `challenges` for as long
// as the CA may ask. The references outlive the task.
Task<std::string> issue(Ca& ca, Clock& clock, ChallengeTable& challenges, IssuanceRequest request,
                        IssuanceReport& report);

}  // namespace latchkey::acme
