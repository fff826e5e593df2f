#pragma once
// A pacer that does what a CA tells it, as the budget does: nothing goes to a resource that is
// held, what is about one name or domain holds no resource.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "acme/pacer.h"
#include "base/clock.h"

namespace latchkey::acme {

class HoldingPacer final : public Pacer {
 public:
  explicit HoldingPacer(Clock& clock) : clock_(clock) {}

  Millis turn{0};  // every request waits so long for its turn
  std::vector<Throttle> heard;

  void hold(Resource resource, Millis wait) {
    held_[resource] = std::max(held_[resource], clock_.now() + wait);
  }

  Task<> before(Resource resource) override {
    if (turn > Millis(0)) co_await sleep(clock_, turn);
    const Millis left = held_[resource] - clock_.now();
    if (left > Millis(0)) {
      co_return Error{ErrorCode::kThrottled,
                      "held for another " + std::to_string(left.count()) + " ms", left};
    }
    co_return Unit{};
  }

  void throttled(const Throttle& throttle) override {
    heard.push_back(throttle);
    const bool about_all =
        throttle.scope == LimitScope::kResource || throttle.scope == LimitScope::kAccount;
    if (about_all) hold(throttle.resource, throttle.wait);
  }

 private:
  Clock& clock_;
  std::map<Resource, TimePoint> held_;
};

}  // namespace latchkey::acme
