#pragma once
#include <deque>

#include "base/clock.h"
#include "base/task.h"

namespace latchkey::acme {

// How often somebody may ask a CA, whatever the CA does: for an issuance 20 requests in any 25 s,
// which is as long as a visitor waits. Beyond that a request waits for its turn. One loop thread.
class Allowance {
 public:
  static constexpr size_t kRequests = 20;
  static constexpr Millis kWindow{25'000};

  explicit Allowance(Clock& clock, size_t requests = kRequests)
      : clock_(clock), requests_(requests) {}
  Allowance(const Allowance&) = delete;

  // Before a request.
  Task<> take();
  // Waits until so many requests would not have to. REQUIRES: no more than there are in all.
  Task<> room_for(size_t requests);
  // These were made on our behalf by somebody else.
  void note(size_t requests);

  size_t left();      // that would not have to wait
  Millis refilled();  // when one of those that were made is forgotten; kWindow if there is none

 private:
  void forget();

  Clock& clock_;
  const size_t requests_;
  std::deque<TimePoint> made_;  // within the last kWindow, the oldest first; <= 2 * requests_
};

}  // namespace latchkey::acme
