#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/link.h"
#include "base/name_marks.h"
#include "base/task.h"
#include "ondemand/budget.h"
#include "ondemand/lane.h"

namespace latchkey {

// Who may make an order next: places (orders in flight at once) and tokens (Budget), handed out by
// lane. Control thread; no I/O, time by Clock only.
//
// - Within a lane first come, first served; but once the oldest visitor has waited for long, the
//   newest go first: those at the head will be gone before their turn, whatever is done. What
//   counts is when the name was first visited: a herd that keeps coming back is not the newest.
// - A tenth of the places is kept for renewals; Lane::kRetry may hold half of them, and
//   Lane::kPrefetch leaves a quarter of them free.
// - An order that takes long (of the CA's or of the name's doing) leaves the foreground for one of
//   the slow places, so that it does not stop the rest.
// - What only this name's limits forbid does not wait: it is refused with the time to come back.
// - In Lane::kHandshake and kRetry one waits until the deadline, and not at all when it is known
//   that it would pass. The other lanes wait as long as it takes.
class OrderQueue {
 public:
  struct Options {
    size_t max_orders = 20;                // foreground places, over all issuers
    std::vector<size_t> max_per_issuer{};  // by issuer; 0 or absent: max_orders
    size_t max_waiting = 20'000;           // in each lane; beyond it the newest is refused
    size_t max_slow = 0;                   // slow places; 0: twice max_orders
    Millis slow_after{5'000};              // an order that takes longer is slow
    Millis patience{25'000};  // of visitors who come while an order waits that had no deadline
  };

  // A place among the orders, and the tokens that were taken. Destroying it gives the place back.
  class Place;

  // How one wants to order.
  struct Ask {
    OrderPlan plan;                 // .lane is the want's
    std::vector<size_t> issuers{};  // that may be used, the preferred one first
    TimePoint deadline{};           // for lanes with visitors
  };

  OrderQueue(Options options, Budget& budget, Clock& clock);
  ~OrderQueue();
  OrderQueue(const OrderQueue&) = delete;

  // The first of the issuers that can take the order now, else the one that can soonest.
  // Errors: kThrottled, with retry_after and why. Follows the want's lane while it waits; fails
  // when the want is cancelled. Dropping the task leaves the queue. `want` outlives the task.
  Task<Place> enter(Ask ask, Want& want);

  // The budget has changed for another reason than time (a hold was lifted, a reload).
  void look_again() { schedule(); }

  // Another process is to make the orders. kHeld: whoever comes waits, nobody goes; kClosed:
  // whoever comes is refused, too.
  enum class Doors { kOpen, kHeld, kClosed };
  void set_doors(Doors doors);

  struct View {
    std::array<size_t, kLanes> waiting{};
    std::array<Millis, kLanes> oldest{};  // how long the one at the head has waited
    size_t running = 0, slow = 0;
  };
  View view() const;

 private:
  struct Waiter;
  struct Order;
  // Those who wait in one lane for the same kind of tokens at the same issuers: if the first of
  // them can't go, nobody can. Few: what the configuration's issuers make possible.
  struct Group {
    bool renewals = false;
    bool resumed = false;
    std::vector<size_t> issuers{};
    auto operator<=>(const Group&) const = default;
  };
  struct Earlier {
    bool operator()(const Waiter* a, const Waiter* b) const;
  };
  using Members = std::set<Waiter*, Earlier>;  // the first come first
  struct LaneQueue {
    std::map<Group, Members> groups;
    size_t waiting = 0;
  };
  // What is to be done with a waiter now.
  struct Decision {
    std::optional<size_t> issuer{};   // it goes, its tokens are taken
    std::optional<Error> refused{};   // it must not wait
    TimePoint at = TimePoint::max();  // else: when there are tokens; max: places are missing
  };

  bool place_for(Lane lane) const;
  bool place_at(size_t issuer) const;
  bool slow_place_for(Lane lane) const;
  Decision decide(Waiter& waiter, bool may_go);
  void line_up(Waiter& waiter);
  void give_up(Waiter& waiter);
  void want_changed(Waiter& waiter);
  TimePoint first_visit(const ServerName& name) const;
  void remember_visit(const Waiter& waiter);
  std::vector<Waiter*> candidates(Lane lane);
  bool admit_from(Lane lane, int& refusals, TimePoint& next);
  void admit();
  void schedule();
  std::unique_ptr<Order> begin(const Waiter& waiter, size_t issuer);
  void slow_down(Order& order);
  void leave_foreground(const Order& order);
  void end(Order& order);

  const Options options_;
  Budget& budget_;
  Clock& clock_;

  std::array<LaneQueue, kLanes> lanes_;
  std::array<size_t, kLanes> running_in_{};  // in the foreground, by lane
  std::vector<size_t> running_at_;           // ... by issuer
  size_t running_ = 0;
  size_t slow_ = 0, slow_retries_ = 0;
  std::array<Link, 2> want_slow_;  // of Order; [1]: of Lane::kRetry

  // When names were first visited whose visitors have got nothing yet.
  NameMarks first_visits_{size_t(1) << 15};  // <= 512 KiB

  uint64_t arrivals_ = 0;
  Doors doors_ = Doors::kOpen;
  bool in_admit_ = false;
  Alarm admitting_;                         // set while somebody may go in at the next turn
  Alarm tokens_;                            // the next token that somebody waits for
  TimePoint tokens_at_ = TimePoint::max();  // when it rings
};

class OrderQueue::Place {
 public:
  Place();
  Place(Place&& other) noexcept;
  Place& operator=(Place&& other) noexcept;
  ~Place();

  explicit operator bool() const { return order_ != nullptr; }
  size_t issuer() const;
  // The CA has accepted an order: its token is spent. What was not spent goes back with the place.
  void ordered();
  // A certificate came of it: so are the tokens that count certificates.
  void issued();
  // Takes the tokens of a second order of the same plan at that issuer; false: there are none now.
  // It has had its chance: what is kept for handshakes stays.
  bool take_another();
  // The CA refuses the order as a replacement: takes what it costs without; false: there is none.
  bool take_plain();
  // The order takes long: gives its foreground place to the next as soon as there is a slow one for
  // it. After Options::slow_after that happens by itself.
  void slow();

 private:
  friend class OrderQueue;
  explicit Place(std::unique_ptr<Order> order);
  std::unique_ptr<Order> order_;
};

}  // namespace latchkey
