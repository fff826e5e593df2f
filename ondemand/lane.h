#pragma once
#include <cstddef>
#include <functional>
#include <string_view>

namespace latchkey {

// How urgent an order is; the lower goes first.
enum class Lane {
  kHandshake,      // visitors wait for it
  kUrgentRenewal,  // less than a quarter of the certificate's life is left
  kRetry,          // visitors wait, but for a name whose last try failed
  kRenewal,
  kPrefetch,  // nobody waits: port 80, a list of the operator's, visitors who have left
};
constexpr size_t kLanes = 5;
std::string_view to_string(Lane lane);  // "handshake", "urgent renewal", ...

// What one flight of the gate is wanted for; it changes while the work is under way. Control
// thread.
class Want {
 public:
  explicit Want(Lane lane) : lane_(lane) {}
  Want(const Want&) = delete;

  Lane lane() const { return lane_ == Lane::kHandshake && retry_ ? Lane::kRetry : lane_; }
  // The name's last try failed: visitors count as Lane::kRetry from now on.
  void set_retry() { retry_ = true; }
  void set_lane(Lane lane) {
    if (lane == lane_) return;
    lane_ = lane;
    if (on_change) on_change();
  }

  // The name is wanted no more (the operator's word): nothing that comes of the work is kept.
  bool cancelled() const { return cancelled_; }
  void cancel() {
    cancelled_ = true;
    if (on_change) on_change();
  }

  // Of who waits somewhere on behalf of the flight: it looks again. May be empty.
  std::function<void()> on_change;

 private:
  Lane lane_;
  bool retry_ = false;
  bool cancelled_ = false;
};

}  // namespace latchkey
