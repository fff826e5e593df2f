// A million names through weeks of simulated time, under Let's Encrypt's limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <random>
#include <unordered_map>

#include "base/task_set.h"
#include "ondemand/order_queue.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kShorter = 3;  // so many times: instrumented code is slow
#else
constexpr int kShorter = 1;
#endif

// The CA's side, by its published numbers: how much is in a bucket, whole bursts.
class PublishedLimits {
 public:
  void order(const OrderPlan& plan, TimePoint now) {
    if (!plan.renewal) spend("account", 300, 3h, now);
  }
  void certificate(const OrderPlan& plan, TimePoint now) {
    if (plan.renewal && plan.replaces) return;
    if (!plan.renewal) spend("domain " + plan.domain, 50, 7 * 24h, now);
    spend("name " + plan.name.text(), 5, 7 * 24h, now);
  }
  void failure(const std::string& name, TimePoint now) { spend("failed " + name, 5, 1h, now); }

  int exceeded = 0;

 private:
  struct Bucket {
    double level;
    TimePoint then;
  };
  void spend(const std::string& key, double burst, Millis per, TimePoint now) {
    Bucket& bucket = buckets_.try_emplace(key, Bucket{burst, now}).first->second;
    const auto passed = static_cast<double>((now - bucket.then).count());
    bucket.level =
        std::min(burst, bucket.level + passed * burst / static_cast<double>(per.count()));
    bucket.then = now;
    if (bucket.level < 1) ++exceeded;
    bucket.level -= 1;
  }
  std::unordered_map<std::string, Bucket> buckets_;
};

class Weeks {
 public:
  struct Waits {
    Millis longest{0};
    int64_t served = 0;
    int64_t own_limit = 0;  // refused: the name's or domain's own limits
    int64_t refused = 0;    // for want of places or tokens of the account
  };

  Weeks(size_t names, Millis lifetime, Millis duration) : lifetime_(lifetime), duration_(duration) {
    period_ = lifetime < 10 * 24h ? lifetime / 2 : lifetime * 2 / 3;
    std::uniform_int_distribution<int64_t> when(0, period_.count());
    std::vector<int64_t> dues;
    // One in a hundred is late, as after an outage: due at once, with a fifth of its life left.
    for (size_t i = 0; i < names / 100; ++i) late_.push_back(TimePoint(lifetime / 5));
    for (size_t i = late_.size(); i < names; ++i) dues.push_back(when(random_));
    std::sort(dues.begin(), dues.end());
    for (const int64_t due : dues) dues_.push_back(TimePoint(Millis(due)));
  }

  void run() {
    tasks_.spawn(late_ones());
    tasks_.spawn(renewals());
    tasks_.spawn(visitors());
    for (int i = 0; i < 200; ++i) tasks_.spawn(prefetcher());
    while (clock_.now() < TimePoint(duration_)) {
      clock_.advance(1h);
      for (const Budget::View& view : budget_.view(clock_.now(), 0)) {
        if (view.kind == LimitKind::kOrders) fewest_orders_ = std::min(fewest_orders_, view.tokens);
        if (view.kind == LimitKind::kRenewals) {
          fewest_renewals_ = std::min(fewest_renewals_, view.tokens);
        }
      }
    }
  }

  void print(const char* title) const {
    const double days = static_cast<double>(duration_.count()) / (24 * 3600 * 1000.0);
    const double orders = static_cast<double>(new_orders_) / days;
    const double renewed = static_cast<double>(renewed_) / days;
    std::printf("%s, %.1f days: %.0f new orders and %.0f renewals a day\n", title, days, orders,
                renewed);
    for (size_t i = 0; i < kLanes; ++i) {
      const Waits& waits = waits_[i];
      const std::string lane(to_string(static_cast<Lane>(i)));
      std::printf("  %-15s %8lld orders, longest wait %9.1f s, refused %lld, by own limits %lld\n",
                  lane.c_str(), static_cast<long long>(waits.served),
                  static_cast<double>(waits.longest.count()) / 1000,
                  static_cast<long long>(waits.refused), static_cast<long long>(waits.own_limit));
    }
    std::printf(
        "  fewest tokens left at a full hour: %lld orders, %lld renewals; prefetch list: %d left; "
        "buckets in "
        "memory: %zu; least life left at a renewal: %.1f %%\n",
        static_cast<long long>(fewest_orders_), static_cast<long long>(fewest_renewals_), prefetch_,
        budget_.keyed(), 100.0 * least_life_);
  }

  void check() const {
    EXPECT_EQ(ca_.exceeded, 0) << "times beyond the published limits";
    EXPECT_EQ(waits(Lane::kHandshake).refused, 0);
    EXPECT_LE(waits(Lane::kHandshake).longest, 5s);
    EXPECT_EQ(waits(Lane::kRenewal).refused + waits(Lane::kUrgentRenewal).refused, 0);
    EXPECT_LE(waits(Lane::kRenewal).longest, 2h);
    EXPECT_LE(waits(Lane::kUrgentRenewal).longest, 1h);
    EXPECT_GE(least_life_, 0.19);
    EXPECT_LE(budget_.keyed(), 100'000u);
  }

 private:
  const Waits& waits(Lane lane) const { return waits_[static_cast<size_t>(lane)]; }

  // --- renewals

  Task<> late_ones() {
    for (const TimePoint expires : late_) tasks_.spawn(renew(Lane::kUrgentRenewal, expires));
    co_return Unit{};
  }
  Task<> renewals() {
    for (;;) {
      if (dues_.front() > clock_.now()) {
        const Millis until = dues_.front() - clock_.now();
        co_await sleep(clock_, until);
      }
      const TimePoint expires = dues_.front() - period_ + lifetime_;
      dues_.pop_front();
      tasks_.spawn(renew(Lane::kRenewal, expires));
    }
  }
  Task<> renew(Lane lane, TimePoint expires) {
    Want want(lane);
    const std::string domain = "old" + std::to_string(++named_) + ".test";
    OrderPlan plan{*ServerName::parse("www." + domain), domain, lane, true, true};
    Task<OrderQueue::Place> entering = enter(plan, want);
    OrderQueue::Place place = co_await std::move(entering);
    co_await sleep(clock_, 3s);
    issued(place, plan);
    const TimePoint now = clock_.now();
    least_life_ = std::min(least_life_, static_cast<double>((expires - now).count()) /
                                            static_cast<double>(lifetime_.count()));
    ++renewed_;
    dues_.push_back(now + period_);
    co_return Unit{};
  }

  // --- new names

  // 1 500 a day; one in fifty of a domain that has more than its share, one in fifty broken.
  Task<> visitors() {
    std::exponential_distribution<double> gap(1500.0 / (24 * 3600 * 1000.0));
    for (int i = 0;; ++i) {
      const Millis pause(static_cast<int64_t>(gap(random_)));
      co_await sleep(clock_, pause);
      std::string domain = "new" + std::to_string(i) + ".test";
      if (i % 50 == 0) domain = "platform" + std::to_string(i / 50 % 3) + ".test";
      if (i % 50 == 1) {
        tasks_.spawn(broken("n" + std::to_string(i), domain));
      } else {
        tasks_.spawn(visit("n" + std::to_string(i), domain, Lane::kHandshake));
      }
    }
  }
  Task<> visit(std::string label, std::string domain, Lane lane) {
    Want want(lane);
    OrderPlan plan{*ServerName::parse(label + "." + domain), domain, lane};
    Task<OrderQueue::Place> entering = enter(plan, want);
    OrderQueue::Place place = co_await std::move(entering);
    co_await sleep(clock_, 3s);
    issued(place, plan);
    co_return Unit{};
  }
  // Two orders of 10 s the first time, then one at a time by the ledger's schedule, for a week.
  Task<> broken(std::string label, std::string domain) {
    constexpr Millis kSchedule[] = {1min, 10min, 100min, 24h};
    const std::string name = label + "." + domain;
    const TimePoint until = clock_.now() + 7 * 24h;
    for (size_t failures = 0; clock_.now() < until;) {
      const Lane lane = failures == 0 ? Lane::kHandshake : Lane::kRetry;
      Want want(lane);
      OrderPlan plan{*ServerName::parse(name), domain, lane};
      Task<OrderQueue::Place> entering = enter(plan, want);
      Result<OrderQueue::Place> place = co_await std::move(entering).result();
      if (!place) {
        const Millis pause = std::max<Millis>(5s, place.error().retry_after);
        co_await sleep(clock_, pause);
        continue;
      }
      co_await sleep(clock_, 10s);
      fail(plan);
      if (failures == 0 && place->take_another()) {
        place->ordered();
        ca_.order(plan, clock_.now());
        ++new_orders_;
        co_await sleep(clock_, 10s);
        fail(plan);
      }
      *place = {};
      const Millis pause = kSchedule[std::min<size_t>(failures++, 3)];
      co_await sleep(clock_, pause);
    }
    co_return Unit{};
  }
  void issued(OrderQueue::Place& place, const OrderPlan& plan) {
    place.issued();
    ca_.certificate(plan, clock_.now());
  }
  void fail(const OrderPlan& plan) {
    budget_.authorization_failed(0, plan.name, clock_.now());
    ca_.failure(plan.name.text(), clock_.now());
  }
  // The operator's list, taken from as there is room.
  Task<> prefetcher() {
    while (prefetch_ > 0) {
      const std::string domain = "list" + std::to_string(--prefetch_) + ".test";
      Task<> ordering = visit("www", domain, Lane::kPrefetch);
      const Result<> ordered = co_await std::move(ordering).result();
      if (!ordered) co_await sleep(clock_, 1min);
    }
    co_return Unit{};
  }

  Task<OrderQueue::Place> enter(OrderPlan plan, Want& want) {
    const TimePoint came = clock_.now();
    OrderQueue::Ask ask{plan, {0}, came + 25s};
    Task<OrderQueue::Place> entering = queue_.enter(std::move(ask), want);
    Result<OrderQueue::Place> place = co_await std::move(entering).result();
    Waits& waits = waits_[static_cast<size_t>(want.lane())];
    if (place) {
      waits.longest = std::max(waits.longest, Millis(clock_.now() - came));
      ++waits.served;
      place->ordered();
      ca_.order(plan, clock_.now());
      if (!plan.renewal) ++new_orders_;
    } else {
      ++(budget_.quote(0, plan, clock_.now()).of_the_name ? waits.own_limit : waits.refused);
    }
    co_return place;
  }

  const Millis lifetime_, duration_;
  Millis period_{0};
  std::mt19937_64 random_{5};
  ManualClock clock_;
  Budget budget_{{{"le", *IssuerLimits::named("letsencrypt")}}, std::nullopt};
  OrderQueue queue_{{}, budget_, clock_};
  PublishedLimits ca_;

  std::vector<TimePoint> late_;  // when they expire
  std::deque<TimePoint> dues_;   // the soonest first
  int prefetch_ = 50'000;
  int64_t named_ = 0;
  int64_t new_orders_ = 0, renewed_ = 0;
  int64_t fewest_orders_ = 270, fewest_renewals_ = 100;
  double least_life_ = 1;
  std::array<Waits, kLanes> waits_;
  TaskSet tasks_;  // go first
};

TEST(BudgetSimulationTest, AMillionCertificatesOf90Days) {
  Weeks weeks(1'000'000, 90 * 24h, 8 * 7 * 24h / kShorter);
  weeks.run();
  weeks.print("1 M names, 90-day certificates");
  weeks.check();
}

TEST(BudgetSimulationTest, AMillionCertificatesOf45Days) {
  Weeks weeks(1'000'000, 45 * 24h, 6 * 7 * 24h / kShorter);
  weeks.run();
  weeks.print("1 M names, 45-day certificates");
  weeks.check();
}

// Ten days only: it is 300 000 orders a day. Three renewals of each certificate all the same.
TEST(BudgetSimulationTest, AMillionCertificatesOf160Hours) {
  Weeks weeks(1'000'000, 160h, 10 * 24h / kShorter);
  weeks.run();
  weeks.print("1 M names, 160-hour certificates");
  weeks.check();
}

}  // namespace
}  // namespace latchkey
