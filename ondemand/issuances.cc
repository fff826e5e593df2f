#include "ondemand/issuances.h"

#include <algorithm>

#include "base/fault_point.h"
#include "base/json.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

constexpr Millis kStoreTestWait = 30s;
constexpr Millis kStoreRetest = 1s;  // a sick disk is not written to for every visitor
constexpr Millis kLaterAtLeast = 60s;

int64_t unix_seconds(WallTime time) {
  return time.time_since_epoch().count();
}

}  // namespace

// One order under way, and those who wait for it.
struct Issuances::Flight {
  Flight(Lane lane, TimePoint now) : want(lane), began(now) {}

  // As urgent as the most urgent of those who wait.
  void update();

  Want want;
  const TimePoint began;
  Link waiters;  // one of the gate, one of the scheduler, some of the operator's
  TaskSet::Place place;
};

struct Issuances::Waiter : Link {
  Waiter(Flight& flight_in, Want& want_in) : flight(&flight_in), want(want_in) {
    flight->waiters.push_back(*this);
    want.on_change = [this] { flight->update(); };
    flight->update();
  }
  ~Waiter() {
    want.on_change = nullptr;
    unlink();
    if (flight != nullptr) flight->update();
  }

  Flight* flight;  // null once it has landed
  Want& want;
  Pending<CertificatePtr> outcome;
};

void Issuances::Flight::update() {
  Lane lane = Lane::kPrefetch;
  for (Link* link = &waiters.next(); link != &waiters; link = &link->next()) {
    const Want& one = static_cast<Waiter*>(link)->want;
    lane = std::min(lane, one.lane());
    if (one.cancelled()) want.cancel();
  }
  want.set_lane(lane);
}

Issuances::Issuances(Parts parts, RenewalRules rules)
    : parts_(std::move(parts)), rules_(rules), testing_(parts_.clock, 1) {}
Issuances::~Issuances() = default;

Task<CertificatePtr> Issuances::issue(Job job, Want& want) {
  const SlotName name{job.name, job.slot};
  auto found = flights_.find(name);
  const bool fresh = found == flights_.end();
  if (fresh) {
    auto flight = std::make_unique<Flight>(want.lane(), parts_.clock.now());
    found = flights_.emplace(name, std::move(flight)).first;
  }
  Flight& flight = *found->second;
  Waiter self(flight, want);
  if (fresh) tasks_.spawn(fly(std::move(job), flight), &flight.place);
  Result<CertificatePtr> outcome = co_await self.outcome;
  co_return outcome;
}

Task<> Issuances::fly(Job job, Flight& flight) {
  const SlotName name{job.name, job.slot};
  Task<> waiting = wait_for_other(name, flight.want);
  const Result<> waited = co_await std::move(waiting).result();
  Result<CertificatePtr> outcome = CertificatePtr();
  if (waited) {
    Task<CertificatePtr> work = order_and_store(std::move(job), flight.want);
    outcome = co_await std::move(work).result();
  } else {
    outcome = waited.error();
  }
  // Out of the map first: whoever wants another one from a callback starts a new flight.
  const auto landed = flights_.extract(name);
  land(*landed.mapped(), outcome);
  co_return Unit{};
}

// Whoever began first goes first, so two cannot wait for each other. What has just failed for one
// would fail for the other.
Task<> Issuances::wait_for_other(SlotName name, Want& want) {
  const Slot other = name.slot == Slot::kMain ? Slot::kRsa : Slot::kMain;
  const SlotName key{name.name, other};
  const auto found = flights_.find(key);
  if (found == flights_.end()) co_return Unit{};
  Waiter behind(*found->second, want);
  const Result<CertificatePtr> outcome = co_await behind.outcome;
  if (!outcome && parts_.ledger.next_try(name.name)) co_return outcome.error();
  co_return Unit{};
}

void Issuances::land(Flight& flight, const Result<CertificatePtr>& outcome) {
  while (!flight.waiters.alone()) {
    auto& waiter = static_cast<Waiter&>(flight.waiters.next());
    waiter.unlink();
    waiter.flight = nullptr;
    waiter.want.on_change = nullptr;
    waiter.outcome.resolve(outcome);
  }
}

std::optional<Millis> Issuances::running_for(const SlotName& name) const {
  const auto found = flights_.find(name);
  if (found == flights_.end()) return std::nullopt;
  return parts_.clock.now() - found->second->began;
}

bool Issuances::call_off(const ServerName& name, const Error& why) {
  // Both first: one of them may wait for the other.
  const auto main = flights_.extract(SlotName{name, Slot::kMain});
  const auto twin = flights_.extract(SlotName{name, Slot::kRsa});
  for (const auto* flight : {&main, &twin}) {
    if (!flight->empty()) tasks_.drop(flight->mapped()->place);
  }
  for (const auto* flight : {&main, &twin}) {
    if (!flight->empty()) land(*flight->mapped(), why);
  }
  return !main.empty() || !twin.empty();
}

void Issuances::call_off_all(const Error& why) {
  const auto all = std::exchange(flights_, {});
  for (const auto& [name, flight] : all) tasks_.drop(flight->place);
  for (const auto& [name, flight] : all) land(*flight, why);
}

Task<> Issuances::test_store() {
  if (store_works_) co_return Unit{};
  const Turnstile::Pass pass = co_await testing_.enter(kStoreTestWait);
  if (store_works_) co_return Unit{};  // by somebody else's test
  if (store_trouble_ && parts_.clock.now() < store_tested_ + kStoreRetest) {
    co_return *store_trouble_;
  }
  Result<> tested = co_await parts_.store.self_test().result();
  if (tested) {
    store_works_ = true;
    if (store_trouble_) tell_store(event_kind::kStoreWorks, "the store works again");
    store_trouble_.reset();
    co_return Unit{};
  }
  Error trouble = std::move(tested).error().in("no order is made while the store does not work");
  if (!store_trouble_) tell_store(event_kind::kStoreFailed, trouble.message);
  store_trouble_ = std::move(trouble);
  store_tested_ = parts_.clock.now();
  co_return *store_trouble_;
}

void Issuances::tell_store(std::string_view kind, std::string text) {
  Event event;
  event.kind = kind;
  event.text = std::move(text);
  parts_.events.tell(std::move(event));
}

Task<CertificatePtr> Issuances::order_and_store(Job job, Want& want) {
  bool began = false;
  OrderOutcome outcome;
  Task<> testing = test_store();
  Result<> works = co_await std::move(testing).result();
  if (works) {
    OrderJob order{job.name};
    order.failures = parts_.ledger.failures(job.name);
    order.grant = job.grant;
    order.slot = job.slot;
    order.predecessor = job.predecessor;
    if (job.info) {
      order.predecessor_issuer = job.info->issuer;
      order.predecessor_account = job.info->account;
    }
    order.pending = job.pending;
    Task<OrderOutcome> ordering = parts_.order(std::move(order), want, began);
    outcome = co_await std::move(ordering);
  } else {
    outcome.failure = OrderFailure{FailureClass::kStorage, std::move(works).error(), true};
  }
  if (began) counts_.orders.add();

  if (outcome.certificate != nullptr) {
    // On disk before anybody sees it: what was served once must be there after a crash.
    Task<CertificatePtr> keeping = keep(job, outcome);
    Result<CertificatePtr> kept = co_await std::move(keeping).result();
    if (kept) co_return kept;
    Error why = std::move(kept).error().in("storing the certificate");
    outcome.failure = OrderFailure{FailureClass::kStorage, std::move(why), false};
  }

  Error error = outcome.failure->error;
  Task<> recording = record_failure(job, std::move(outcome), began);
  co_await std::move(recording);
  co_return error;
}

// A staple that has just come is in memory before it is in the store, which the predecessor is
// from.
bool Issuances::is_stapled(const Job& job) const {
  if (job.predecessor->staple() != nullptr) return true;
  const CertificatePtr served = parts_.cache.find(job.name, job.slot);
  return served != nullptr && served->staple() != nullptr && served->same_leaf(*job.predecessor);
}

Task<CertificatePtr> Issuances::keep(const Job& job, const OrderOutcome& outcome) {
  CertificatePtr served = outcome.certificate;
  const Certificate& fresh = *outcome.certificate;
  CertificateOrigin origin(outcome.issuer);
  origin.account = outcome.account;
  origin.plan = first_plan(rules_, fresh.not_before(), fresh.chain_not_after(),
                           parts_.clock.wall_now(), random_);
  origin.visited = !job.renewal;
  origin.slot = job.slot;
  Task<> putting = parts_.store.put_certificate(job.name, outcome.certificate, std::move(origin));
  co_await std::move(putting);
  fault_point("certificate.stored");
  // Clients that had a staple are not to miss it, while the old certificate is good for it.
  const WallTime now = parts_.clock.wall_now();
  const bool stapled =
      job.predecessor != nullptr && !job.predecessor->expired_at(now) && is_stapled(job);
  if (stapled && parts_.await_staple) {
    SlotName name{job.name, job.slot};
    Task<CertificatePtr> awaiting = parts_.await_staple(std::move(name), served);
    const Result<CertificatePtr> with_staple = co_await std::move(awaiting).result();
    if (with_staple) served = *with_staple;
  }
  const bool replaced = parts_.cache.replace(job.name, served, job.slot);
  // A renewal of what nobody has visited lately need not fill the memory.
  if (!replaced && !job.renewal) parts_.cache.put(job.name, served, job.extras, job.slot);
  fault_point("certificate.cached");
  tell_success(job, outcome, replaced);
  if (job.slot == Slot::kMain && !fresh.is_rsa() && parts_.obtained_main) {
    parts_.obtained_main(job.name);
  }
  if (parts_.ledger.find(job.name) != nullptr) {
    Task<> forgetting = parts_.ledger.forget(job.name);
    const Result<> forgotten = co_await std::move(forgetting).result();
    // A row that stays makes the next failure's wait longer, no more.
    if (!forgotten) {
      doubt_store();
      parts_.log.error("store_write_failed", "forgetting failures: " + forgotten.error().message,
                       {{"name", job.name.text()}});
    }
  }
  co_return served;
}

void Issuances::tell_success(const Job& job, const OrderOutcome& outcome, bool replaced) {
  const Certificate& fresh = *outcome.certificate;
  const bool renewed = job.predecessor != nullptr;
  (renewed ? counts_.renewed : counts_.obtained).add();
  if (replaced) {
    parts_.log.info("certificate_replaced", "the new certificate is served from now on",
                    {{"name", job.name.text()},
                     {"serial", fresh.serial()},
                     {"before", renewed ? job.predecessor->serial() : std::string()}});
  }
  Event event;
  event.kind = renewed ? event_kind::kRenewed : event_kind::kObtained;
  event.name = job.name.text();
  event.issuer = outcome.issuer;
  event.text = "certificate " + fresh.serial() + " from " + outcome.issuer;
  JsonObject details;
  details.text("serial", fresh.serial());
  if (job.slot == Slot::kRsa) details.text("slot", "rsa");
  details.number("not_before", unix_seconds(fresh.not_before()));
  details.number("not_after", unix_seconds(fresh.not_after()));
  if (renewed) details.text("replaces", job.predecessor->serial());
  event.details = details.str();
  event.keep_until =
      parts_.clock.wall_now() +
      std::max<std::chrono::seconds>(3 * (fresh.not_after() - fresh.not_before()), 90 * 24h);
  parts_.events.tell(std::move(event));
}

Task<> Issuances::record_failure(const Job& job, OrderOutcome outcome, bool began) {
  const OrderFailure& failure = *outcome.failure;
  counts_.failed.add();
  if (failure.failure == FailureClass::kStorage) store_works_ = false;
  // How long to wait at most: a certificate that is in use must not run out for our gentleness.
  Millis longest = Millis::max();
  if (job.predecessor != nullptr && job.renewal) {
    longest = retry_cap(job.predecessor->not_before(), job.predecessor->chain_not_after());
  }
  const bool charged = began && !failure.of_the_ca;
  tell_failure(job, outcome, began, charged);
  if (charged) {
    Task<> charging = parts_.ledger.failed(job.name, failure.failure, failure.error,
                                           std::move(outcome.issuer), longest);
    co_await std::move(charging);
    co_return Unit{};
  }
  // The name is not to blame. What our limits put off is made up for when they allow it.
  if (began || failure.error.retry_after > Millis(0)) {
    parts_.ledger.trouble(job.name, failure.failure, failure.error, std::move(outcome.issuer));
  }
  if (failure.failure == FailureClass::kRateLimited && !job.renewal) {
    parts_.later(job.name, std::max(kLaterAtLeast, failure.error.retry_after));
  }
  co_return Unit{};
}

// A first failure to renew is a warning: there is time. A later one, or one with less than a
// quarter of the certificate's life left, is an error.
void Issuances::tell_failure(const Job& job, const OrderOutcome& outcome, bool began,
                             bool charged) {
  const OrderFailure& failure = *outcome.failure;
  const std::string kind(to_string(failure.failure));
  const int before = parts_.ledger.failures(job.name);
  if (job.renewal && job.predecessor != nullptr) {
    const Certificate& old = *job.predecessor;
    const bool urgent = is_urgent(old.not_before(), old.chain_not_after(), parts_.clock.wall_now());
    const std::string text = "the certificate could not be renewed: " + failure.error.message;
    const int64_t left =
        unix_seconds(old.chain_not_after()) - unix_seconds(parts_.clock.wall_now());
    if (before == 0 && !urgent) {
      parts_.log.warning("renewal_failed", text,
                         {{"name", job.name.text()}, {"class", kind}, {"seconds_left", left}});
    } else {
      parts_.log.error("renewal_failed", text,
                       {{"name", job.name.text()}, {"class", kind}, {"seconds_left", left}});
    }
  } else {
    parts_.log.error("issuance_failed", "no certificate for the name: " + failure.error.message,
                     {{"name", job.name.text()}, {"class", kind}});
  }
  // Nobody was asked for anything: the visitors have left, or the store fails (an event of its
  // own).
  if (!began && failure.error.retry_after == Millis(0)) return;
  // Of what is nobody's fault but the CA's the first in a row is enough.
  if (!charged && parts_.ledger.find(job.name) != nullptr) return;
  Event event;
  event.kind = job.renewal ? event_kind::kRenewalFailed : event_kind::kFailed;
  event.name = job.name.text();
  event.issuer = outcome.issuer;
  event.text = failure.error.message;
  JsonObject details;
  details.text("class", kind);
  details.number("failures", int64_t{before} + (charged ? 1 : 0));
  event.details = details.str();
  parts_.events.tell(std::move(event));
  if (failure.failure != FailureClass::kUserActionRequired) return;
  Event action;
  action.kind = event_kind::kUserActionRequired;
  action.issuer = outcome.issuer;
  action.text = failure.error.message;
  parts_.events.tell(std::move(action));
}

}  // namespace latchkey
