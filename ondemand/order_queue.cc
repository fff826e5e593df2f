#include "ondemand/order_queue.h"

#include <algorithm>

#include "base/check.h"
#include "base/pending.h"

namespace latchkey {
namespace {

constexpr int kOfPatience = 5;  // one part in so many, then the newest go first
constexpr Millis kSoon = std::chrono::seconds(1);
constexpr Millis kTick = std::chrono::seconds(4);
constexpr Millis kRemembered = std::chrono::minutes(10);  // after the last visit
constexpr size_t kSmall = 5;      // with fewer places none is kept for anybody
constexpr int kMaxRefusals = 64;  // in one turn of the loop; the rest has its turn in the next

bool has_visitors(Lane lane) {
  return lane == Lane::kHandshake || lane == Lane::kRetry;
}
bool renews(Lane lane) {
  return lane == Lane::kUrgentRenewal || lane == Lane::kRenewal;
}
size_t index(Lane lane) {
  return static_cast<size_t>(lane);
}

Error called_off(const ServerName& name) {
  return Error{ErrorCode::kDenied, "the order for " + name.text() + " was called off"};
}

OrderQueue::Options checked(OrderQueue::Options options) {
  options.max_orders = std::max<size_t>(1, options.max_orders);
  if (options.max_slow == 0) options.max_slow = 2 * options.max_orders;
  return options;
}

}  // namespace

// Lives in the frame of enter().
struct OrderQueue::Waiter {
  Waiter(OrderQueue& queue_, Ask ask_, Want& want_)
      : queue(queue_), ask(std::move(ask_)), want(want_), lane(want.lane()) {
    since = queue.clock_.now();
    entered = since;
    patience = ask.deadline > since ? ask.deadline - since : queue.options_.patience;
    deadline = since + patience;
    first_visit = has_visitors(lane) ? queue.first_visit(ask.plan.name) : since;
  }
  ~Waiter() {
    if (listening) want.on_change = nullptr;
    leave();
  }
  Group group() const { return {ask.plan.renewal, ask.plan.resumed, ask.issuers}; }
  void leave() {
    alarm = nullptr;
    if (members == nullptr) return;
    std::exchange(members, nullptr)->erase(this);
    --queue.lanes_[index(lane)].waiting;
  }

  OrderQueue& queue;
  Ask ask;
  Want& want;
  Lane lane;
  bool listening = false;      // to the want
  Members* members = nullptr;  // that it stands among
  TimePoint first_visit;
  uint64_t arrival = 0;  // the lower was here before
  TimePoint since;       // in this lane
  TimePoint entered;     // the first one; who is visited for a while keeps its turn among others
  Millis patience;       // of its visitors
  TimePoint deadline;    // where there are visitors
  Alarm alarm;
  Pending<Place> turn;
};

bool OrderQueue::Earlier::operator()(const Waiter* a, const Waiter* b) const {
  return std::pair(a->first_visit, a->arrival) < std::pair(b->first_visit, b->arrival);
}

// What a Place owns. Linked in want_slow_ while it waits for a slow place.
struct OrderQueue::Order : Link {
  Order(OrderQueue& queue_, OrderPlan plan_, size_t issuer_)
      : queue(queue_), plan(std::move(plan_)), issuer(issuer_) {}
  ~Order() { queue.end(*this); }

  OrderQueue& queue;
  const OrderPlan plan;
  const size_t issuer;
  bool slow = false;
  int unordered = 1;  // tries whose order the CA has not accepted
  bool issued = false;
  Alarm alarm;
};

OrderQueue::Place::Place() = default;
OrderQueue::Place::Place(Place&& other) noexcept = default;
OrderQueue::Place& OrderQueue::Place::operator=(Place&& other) noexcept {
  std::swap(order_, other.order_);
  return *this;
}
OrderQueue::Place::~Place() = default;
OrderQueue::Place::Place(std::unique_ptr<Order> order) : order_(std::move(order)) {}

size_t OrderQueue::Place::issuer() const {
  return order_->issuer;
}
void OrderQueue::Place::ordered() {
  if (order_->unordered > 0) --order_->unordered;
}
void OrderQueue::Place::issued() {
  order_->issued = true;
}
bool OrderQueue::Place::take_another() {
  OrderQueue& queue = order_->queue;
  OrderPlan again = order_->plan;
  again.resumed = false;  // this one is new
  if (again.lane == Lane::kHandshake) again.lane = Lane::kRetry;
  const bool taken = queue.budget_.take_another(order_->issuer, again, queue.clock_.now());
  if (taken) ++order_->unordered;
  return taken;
}
bool OrderQueue::Place::take_plain() {
  OrderQueue& queue = order_->queue;
  return queue.budget_.take_plain(order_->issuer, order_->plan, queue.clock_.now());
}
void OrderQueue::Place::slow() {
  order_->queue.slow_down(*order_);
}

OrderQueue::OrderQueue(Options options, Budget& budget, Clock& clock)
    : options_(checked(std::move(options))),
      budget_(budget),
      clock_(clock),
      running_at_(budget.issuers().size()) {}
OrderQueue::~OrderQueue() = default;

// --- who waits

Task<OrderQueue::Place> OrderQueue::enter(Ask ask, Want& want) {
  if (ask.issuers.empty()) {
    co_return Error{ErrorCode::kInvalid, "no issuer may be used for " + ask.plan.name.text()};
  }
  if (want.cancelled()) co_return called_off(ask.plan.name);
  if (doors_ == Doors::kClosed) {
    co_return Error{ErrorCode::kThrottled, "another process has taken over: it makes the orders"};
  }
  Waiter self(*this, std::move(ask), want);

  // At once, unless somebody else has his turn before.
  const LaneQueue& lane = lanes_[index(self.lane)];
  const auto group = lane.groups.find(self.group());
  const bool first = group == lane.groups.end() || group->second.empty();
  const bool turns =
      in_admit_ || admitting_ != nullptr || tokens_at_ <= self.since || doors_ != Doors::kOpen;
  Decision decision = decide(self, first && !turns && place_for(self.lane));
  if (decision.refused) {
    remember_visit(self);
    co_return *std::move(decision.refused);
  }
  if (decision.issuer) co_return Place(begin(self, *decision.issuer));
  if (lane.waiting >= options_.max_waiting) {
    co_return Error{ErrorCode::kThrottled, std::to_string(lane.waiting) +
                                               " orders wait already in the lane " +
                                               std::string(to_string(self.lane))};
  }

  line_up(self);
  self.listening = true;
  want.on_change = [this, &self] { want_changed(self); };
  if (first) schedule();
  Result<Place> place = co_await self.turn;
  co_return place;
}

void OrderQueue::line_up(Waiter& waiter) {
  LaneQueue& lane = lanes_[index(waiter.lane)];
  waiter.arrival = ++arrivals_;
  waiter.members = &lane.groups[waiter.group()];
  waiter.members->insert(&waiter);
  ++lane.waiting;
  if (!has_visitors(waiter.lane)) return;
  waiter.alarm = clock_.after(waiter.deadline - clock_.now(), [this, &waiter] { give_up(waiter); });
}

void OrderQueue::give_up(Waiter& waiter) {
  Decision decision = decide(waiter, false);
  Error late{ErrorCode::kThrottled, "no order could begin within " +
                                        std::to_string(waiter.patience.count()) +
                                        " ms: others came before it"};
  if (decision.refused) {
    late = *std::move(decision.refused);
  } else if (decision.at != TimePoint::max()) {
    late.retry_after = decision.at - clock_.now();
  }
  const Alarm running = std::move(waiter.alarm);
  remember_visit(waiter);
  waiter.leave();
  waiter.turn.resolve(std::move(late));
}

void OrderQueue::want_changed(Waiter& waiter) {
  if (waiter.members == nullptr) return;  // its end has been decided
  if (waiter.want.cancelled()) {
    waiter.leave();
    // From the loop, not from within the call of who called it off.
    waiter.alarm = clock_.after(
        Millis(0), [&waiter] { waiter.turn.resolve(called_off(waiter.ask.plan.name)); });
    return;
  }
  if (waiter.want.lane() == waiter.lane) return;
  const bool deserted =
      has_visitors(waiter.lane) && !has_visitors(waiter.want.lane()) && !renews(waiter.want.lane());
  waiter.leave();
  remember_visit(waiter);
  if (deserted) {  // who comes and goes fills no queue
    waiter.alarm = clock_.after(Millis(0), [&waiter] {
      Error gone{ErrorCode::kThrottled, "its visitors have left before its turn"};
      waiter.turn.resolve(std::move(gone));
    });
    schedule();
    return;
  }
  waiter.lane = waiter.want.lane();
  waiter.since = clock_.now();
  waiter.first_visit =
      has_visitors(waiter.lane) ? first_visit(waiter.ask.plan.name) : waiter.entered;
  waiter.deadline = waiter.since + waiter.patience;
  line_up(waiter);
  schedule();
}

// In ticks of four seconds, of which a mark's 16 bits hold three days.
TimePoint OrderQueue::first_visit(const ServerName& name) const {
  const TimePoint now = clock_.now();
  const std::optional<uint16_t> ticks = first_visits_.find(name, now);
  if (!ticks) return now;
  const auto age = static_cast<uint16_t>(now.time_since_epoch() / kTick - *ticks);
  return now - age * kTick;
}

void OrderQueue::remember_visit(const Waiter& waiter) {
  if (!has_visitors(waiter.lane)) return;
  const auto ticks = static_cast<uint16_t>(waiter.first_visit.time_since_epoch() / kTick);
  first_visits_.set(waiter.ask.plan.name, ticks, clock_.now() + kRemembered);
}

// --- who goes

bool OrderQueue::place_for(Lane lane) const {
  const size_t places = options_.max_orders;
  if (running_ >= places) return false;
  if (renews(lane)) return true;
  const size_t kept = places < kSmall ? 0 : std::max<size_t>(1, places / 10);
  const size_t renewals =
      running_in_[index(Lane::kUrgentRenewal)] + running_in_[index(Lane::kRenewal)];
  if (running_ - renewals >= places - kept) return false;
  if (lane == Lane::kRetry) return running_in_[index(lane)] < std::max<size_t>(1, places / 2);
  if (lane == Lane::kPrefetch) return places - running_ > places / 4;
  return true;
}

bool OrderQueue::place_at(size_t issuer) const {
  const size_t most = issuer < options_.max_per_issuer.size() ? options_.max_per_issuer[issuer] : 0;
  return most == 0 || running_at_[issuer] < most;
}

OrderQueue::Decision OrderQueue::decide(Waiter& waiter, bool may_go) {
  const TimePoint now = clock_.now();
  OrderPlan& plan = waiter.ask.plan;
  plan.lane = waiter.lane;
  Decision decision;
  Budget::Quote soonest{TimePoint::max()};
  bool only_place = false;  // some issuer has tokens
  for (const size_t issuer : waiter.ask.issuers) {
    Budget::Quote quote = budget_.quote(issuer, plan, now);
    if (quote.at <= now) {
      if (may_go && place_at(issuer) && budget_.take(issuer, plan, now)) {
        decision.issuer = issuer;
        return decision;
      }
      only_place = true;
      continue;
    }
    if (!quote.of_the_name) decision.at = std::min(decision.at, quote.at);
    if (quote.at < soonest.at) soonest = std::move(quote);
  }
  if (only_place) return decision;
  const bool in_vain = has_visitors(waiter.lane) && decision.at > waiter.deadline;
  if (decision.at != TimePoint::max() && !in_vain) return decision;
  Millis away = soonest.at - now;
  // It had better come back in time to stand in the queue when the token comes.
  if (in_vain && !soonest.of_the_name) away = std::max(kSoon, away - waiter.patience / 2);
  decision.refused = Error{
      ErrorCode::kThrottled,
      "no order for " + plan.name.text() + " now: the budget for " + soonest.why + " is used up",
      away};
  return decision;
}

// The next of each group, the one whose turn it is first.
std::vector<OrderQueue::Waiter*> OrderQueue::candidates(Lane lane) {
  auto& groups = lanes_[index(lane)].groups;
  std::erase_if(groups, [](const auto& group) { return group.second.empty(); });
  std::vector<Waiter*> waiters;
  waiters.reserve(groups.size());
  for (const auto& [group, members] : groups) waiters.push_back(*members.begin());
  std::sort(waiters.begin(), waiters.end(), Earlier());
  if (waiters.empty() || !has_visitors(lane)) return waiters;
  const Waiter& oldest = *waiters.front();
  if ((clock_.now() - oldest.first_visit) * kOfPatience < oldest.patience) return waiters;

  waiters.clear();
  for (const auto& [group, members] : groups) waiters.push_back(*members.rbegin());
  std::sort(waiters.rbegin(), waiters.rend(), Earlier());
  return waiters;
}

// Lets one go, or refuses one; false: nobody of the lane can go now. `next`: when one can.
bool OrderQueue::admit_from(Lane lane, int& refusals, TimePoint& next) {
  for (Waiter* waiter : candidates(lane)) {
    Decision decision = decide(*waiter, true);
    if (decision.issuer) {
      std::unique_ptr<Order> order = begin(*waiter, *decision.issuer);
      waiter->leave();
      waiter->turn.resolve(Place(std::move(order)));
      return true;
    }
    if (decision.refused) {
      remember_visit(*waiter);
      waiter->leave();
      waiter->turn.resolve(*std::move(decision.refused));
      if (++refusals < kMaxRefusals) return true;
      schedule();
      return false;
    }
    next = std::min(next, decision.at);
  }
  return false;
}

void OrderQueue::admit() {
  const Alarm running = std::move(admitting_), rang = std::move(tokens_);
  tokens_at_ = TimePoint::max();
  if (doors_ != Doors::kOpen) return;
  in_admit_ = true;
  int refusals = 0;
  TimePoint next = TimePoint::max();
  for (size_t i = 0; i < kLanes; ++i) {
    const Lane lane = static_cast<Lane>(i);
    while (lanes_[i].waiting > 0 && place_for(lane) && admit_from(lane, refusals, next)) {
    }
  }
  in_admit_ = false;
  if (next == TimePoint::max()) return;
  tokens_at_ = next;
  tokens_ = clock_.after(next - clock_.now(), [this] { admit(); });
}

void OrderQueue::set_doors(Doors doors) {
  doors_ = doors;
  if (doors == Doors::kOpen) schedule();
}

// The next one goes in from the loop, not from within ~Place: no chain of orders that end at once
// can eat the stack.
void OrderQueue::schedule() {
  if (admitting_ != nullptr) return;
  const auto empty = [](const LaneQueue& lane) { return lane.waiting == 0; };
  if (std::all_of(lanes_.begin(), lanes_.end(), empty)) return;
  admitting_ = clock_.after(Millis(0), [this] { admit(); });
}

// --- places

std::unique_ptr<OrderQueue::Order> OrderQueue::begin(const Waiter& waiter, size_t issuer) {
  auto order = std::make_unique<Order>(*this, waiter.ask.plan, issuer);
  first_visits_.erase(waiter.ask.plan.name);
  ++running_;
  ++running_in_[index(waiter.lane)];
  ++running_at_[issuer];
  order->alarm = clock_.after(options_.slow_after, [this, &slow = *order] { slow_down(slow); });
  return order;
}

bool OrderQueue::slow_place_for(Lane lane) const {
  if (slow_ >= options_.max_slow) return false;
  return lane != Lane::kRetry || slow_retries_ < std::max<size_t>(1, options_.max_slow / 2);
}

void OrderQueue::slow_down(Order& order) {
  if (order.slow) return;
  const Lane lane = order.plan.lane;
  if (!slow_place_for(lane)) {
    if (order.alone()) want_slow_[lane == Lane::kRetry].push_back(order);
    return;
  }
  order.unlink();
  order.slow = true;
  ++slow_;
  if (lane == Lane::kRetry) ++slow_retries_;
  leave_foreground(order);
}

void OrderQueue::leave_foreground(const Order& order) {
  --running_;
  --running_in_[index(order.plan.lane)];
  --running_at_[order.issuer];
  schedule();
}

void OrderQueue::end(Order& order) {
  for (; order.unordered > 0; --order.unordered) {
    budget_.give_back(order.issuer, order.plan, Budget::Unused::kOrder);
  }
  if (!order.issued) budget_.give_back(order.issuer, order.plan, Budget::Unused::kCertificate);
  if (!order.slow) return leave_foreground(order);
  --slow_;
  if (order.plan.lane == Lane::kRetry) --slow_retries_;
  for (Link& waiting : want_slow_) {
    if (!waiting.alone()) slow_down(static_cast<Order&>(waiting.next()));
  }
  schedule();  // tokens may have come back
}

OrderQueue::View OrderQueue::view() const {
  View view;
  view.running = running_;
  view.slow = slow_;
  for (size_t i = 0; i < kLanes; ++i) {
    view.waiting[i] = lanes_[i].waiting;
    for (const auto& [group, members] : lanes_[i].groups) {
      if (members.empty()) continue;
      view.oldest[i] = std::max(view.oldest[i], clock_.now() - (*members.begin())->since);
    }
  }
  return view;
}

}  // namespace latchkey
