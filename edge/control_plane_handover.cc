// Another process takes over: one of the two makes orders at any moment.
#include "base/pending.h"
#include "edge/control_plane.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kOrdersTime = 15s;  // that an order has to its end; most take 2 to 10 s
constexpr Millis kLook = 20ms;

}  // namespace

void ControlPlane::hold_orders(std::function<void()> quiet) {
  queue_->set_doors(OrderQueue::Doors::kHeld);
  quiet_ = std::move(quiet);
  look_whether_quiet(loop_.clock().now() + kOrdersTime);
}

// A CA's challenge that is answered here only would fail at the other process: orders are let come
// to their end, if it is near.
void ControlPlane::look_whether_quiet(TimePoint until) {
  const OrderQueue::View view = queue_->view();
  if (view.running + view.slow > 0 && loop_.clock().now() < until) {
    quiet_look_ = loop_.clock().after(kLook, [this, until] { look_whether_quiet(until); });
    return;
  }
  const Alarm running = std::move(quiet_look_);
  // Those that wait for a place come back to it at once: nobody else's failure is theirs.
  if (view.running + view.slow > 0) cut_orders();
  const auto quiet = std::exchange(quiet_, nullptr);
  quiet();
}

void ControlPlane::release_orders() {
  // The other process may have written its own PID down.
  if (auto ours = lock_->take_back(config_.state("")); !ours) {
    log_.warning("state_lock", ours.error().message);
  }
  quiet_look_.reset();
  quiet_ = nullptr;
  queue_->set_doors(OrderQueue::Doors::kOpen);
}

void ControlPlane::hand_over(Successor successor) {
  successor_ = std::move(successor);
  queue_->set_doors(OrderQueue::Doors::kClosed);
  tasks_ = TaskSet();
  renewals_->stop();
  cut_orders();
}

void ControlPlane::cut_orders() {
  ++cuts_;
  issuances_->call_off_all(Error{ErrorCode::kThrottled, "another process takes over"});
}

// What was cut is tried again; the store brings what the other process has obtained.
Task<CertificatePtr> ControlPlane::obtain(ServerName name, Slot slot, Want& want) {
  while (!successor_) {
    const int cuts = cuts_;
    Task<CertificatePtr> obtaining = coordinator_->obtain(name, slot, want);
    Result<CertificatePtr> outcome = co_await std::move(obtaining).result();
    const bool final = outcome || outcome.error().code == ErrorCode::kDenied;
    if (final || cuts == cuts_) co_return outcome;
  }
  Task<> asking = ask_successor(name, slot);
  co_await std::move(asking);
  Task<CertificatePtr> loading = coordinator_->obtain(std::move(name), slot, want);
  co_return co_await std::move(loading).result();
}

Task<> ControlPlane::ask_successor(ServerName name, Slot slot) {
  auto answer = std::make_shared<Pending<>>();
  successor_(name, slot, [waiting = std::weak_ptr(answer)](Result<> outcome) {
    if (const auto pending = waiting.lock()) pending->resolve(std::move(outcome));
  });
  Pending<>& pending = *answer;
  Result<> outcome = co_await pending;
  co_return outcome;
}

}  // namespace latchkey::edge
