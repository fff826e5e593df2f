// Another process takes over: one of the two makes orders at any moment.
#include "base/pending.h"
#include "edge/control_plane.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kOrdersTime = 15s;   // that an order has to its end; most take 2 to 10 s
constexpr Millis kChangesTime = 45s;  // that what is about to be settled has: DNS records, files
constexpr Millis kLook = 20ms;

}  // namespace

void ControlPlane::hold_orders(std::function<void()> quiet) {
  queue_->set_doors(OrderQueue::Doors::kHeld);
  if (dns_proofs_ != nullptr) dns_proofs_->hold();
  if (exporter_ != nullptr) exporter_->hold();
  quiet_ = std::move(quiet);
  look_whether_quiet(loop_.clock().now());
}

bool ControlPlane::orders_run() const {
  const OrderQueue::View view = queue_->view();
  return view.running + view.slow > 0;
}

// A CA's challenge that is answered here only would fail at the other process: orders are let come
// to their end, if it is near. Then what else would be done by both: a TXT record that the other
// one, too, finds in the store, a file and its hook.
void ControlPlane::look_whether_quiet(TimePoint begun) {
  const Alarm running = std::move(quiet_look_);
  const Millis passed = std::chrono::duration_cast<Millis>(loop_.clock().now() - begun);
  // Those that wait for a place come back to it at once: nobody else's failure is theirs.
  if (orders_run() && passed >= kOrdersTime) cut_orders();
  const bool changing = (dns_proofs_ != nullptr && dns_proofs_->changing()) ||
                        (exporter_ != nullptr && exporter_->busy());
  if ((orders_run() || changing) && passed < kChangesTime) {
    quiet_look_ = loop_.clock().after(kLook, [this, begun] { look_whether_quiet(begun); });
    return;
  }
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
  if (dns_proofs_ != nullptr) dns_proofs_->release();
  if (exporter_ != nullptr) exporter_->release();
  queue_->set_doors(OrderQueue::Doors::kOpen);
}

void ControlPlane::hand_over(Successor successor) {
  successor_ = std::move(successor);
  queue_->set_doors(OrderQueue::Doors::kClosed);
  tasks_ = TaskSet();
  renewals_->stop();
  staples_->stop();
  if (exporter_ != nullptr) exporter_->stop();
  stop_authorities();
  cut_orders();
  lock_.reset();  // it shares the other one's
}

// Never shared again: nobody has it whom the other one may have started.
Result<> ControlPlane::lock_again() {
  auto lock = StateLock::acquire(config_.state(""));
  if (!lock) return lock.error();
  lock_ = std::make_unique<StateLock>(*std::move(lock));
  return Unit{};
}

// What the other process has obtained, renewed and spent is in the store only.
void ControlPlane::take_back() {
  successor_ = nullptr;
  ++cuts_;
  cache_.clear();
  keeper_->read_again();
  if (auto serving = open_acme_server(); !serving) {
    log_.error("acme_server_closed", serving.error().message);
  }
  release_orders();
  start();
}

void ControlPlane::cut_orders() {
  ++cuts_;
  issuances_->call_off_all(Error{ErrorCode::kThrottled, "another process takes over"});
}

// What was cut is tried again; the store brings what the other process has obtained. Where that one
// ends before it has, and we take its place, it is ours to obtain.
Task<CertificatePtr> ControlPlane::obtain(ServerName name, Slot slot, Want& want) {
  for (;;) {
    const int cuts = cuts_;
    if (successor_) {
      Task<> asking = ask_successor(name, slot);
      const Result<> asked = co_await std::move(asking).result();
      if (!asked && cuts != cuts_) continue;
      if (!asked) co_return asked.error();
    }
    Task<CertificatePtr> obtaining = coordinator_->obtain(name, slot, want);
    Result<CertificatePtr> outcome = co_await std::move(obtaining).result();
    const bool final = outcome || outcome.error().code == ErrorCode::kDenied;
    if (final || cuts == cuts_) co_return outcome;
  }
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
