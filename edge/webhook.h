#pragma once
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/event.h"
#include "edge/config.h"

namespace latchkey::edge {

// Tells a URL of events: a POST for each, at most 4 under way at once, signed where there is a
// secret. An answer of 2xx is a delivery; another 4xx than 408, 425 and 429 ends it; everything
// else is tried again after 1 s, 5 s, 30 s, 2 min, 10 min, then hourly, later where Retry-After
// says so, for 24 h after it was told. Redirects are not followed.
//
// While the receiver fails, one request is under way at most, and the same waits lie between
// requests of whatever events: the oldest three times, so that order is kept, then those that were
// tried less often. Queued in memory only: <= 1000, then the oldest go. Control thread.
class Webhook {
 public:
  struct Counts {
    Counter delivered, retried, given_up, dropped;
  };

  // `secret`: "" leaves events unsigned. The others outlive us.
  Webhook(WebhookConfig config, std::string secret, HttpClient& http, Clock& clock, Log& log);
  // What is queued is lost; a line says how many.
  ~Webhook();
  Webhook(const Webhook&) = delete;

  // A bounded event (edge/event_json.h); sent from the loop, never from within this call.
  void tell(const Event& event);

  size_t queued() const;
  const Counts& counts() const { return counts_; }

 private:
  struct Delivery;
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
