// What a herd of names that always fail does to those that work. Simulated time.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <random>

#include "ondemand/order_queue.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

ServerName name_of(const std::string& text) {
  return *ServerName::parse(text);
}

struct Waits {
  Millis longest{0};
  Millis sum{0};
  int served = 0, refused = 0;

  void note(Millis wait, bool was_served) {
    longest = std::max(longest, wait);
    sum += wait;
    ++(was_served ? served : refused);
  }
  void add(const Waits& other) {
    longest = std::max(longest, other.longest);
    sum += other.sum;
    served += other.served;
    refused += other.refused;
  }
  void print(const char* who) const {
    const auto seconds = [](Millis millis) { return static_cast<double>(millis.count()) / 1000; };
    std::printf("  %-22s %6d served, %3d refused, longest wait %6.1f s, mean %6.2f s\n", who,
                served, refused, seconds(longest), seconds(sum) / std::max(1, served + refused));
  }
};

// 300 broken names are visited at once and then all the time; a try of one takes 20 s (two
// challenges of 10 s). Who gives up waiting loads the page again. Meanwhile a good new name comes
// every so often and a renewal every 20 s, which take 3 s.
class Herd {
 public:
  struct Setting {
    OrderQueue::Options options{};
    IssuerLimits limits{};
    Millis good_every{10s};
    Millis good_from{100ms};
    bool jitter = false;  // of what the broken ones do
    unsigned seed = 1;
  };

  explicit Herd(const Setting& setting)
      : setting_(setting),
        budget_({{"ca", setting.limits}}, std::nullopt),
        queue_(setting.options, budget_, clock_),
        random_(setting.seed) {
    for (int i = 0; i < 300; ++i) {
      begin(broken("b.broken" + std::to_string(i) + ".test"));
    }
    begin(arrivals(Lane::kHandshake, setting.good_from, setting.good_every));
    begin(arrivals(Lane::kRenewal, setting.good_from + 1s, 20s));
  }

  void run(Millis duration) { clock_.advance(duration); }

  Waits good, renewals, first_tries, repeats;

 private:
  void begin(Task<> flow) {
    flows_.push_back(std::move(flow));
    flows_.back().start();
  }
  Millis about(Millis time, int64_t percent) {
    if (!setting_.jitter) return time;
    std::uniform_int_distribution<int64_t> by(-percent, percent);
    return time + time * by(random_) / 100;
  }

  Task<> broken(std::string name) {
    constexpr Millis kSchedule[] = {1min, 10min, 100min, 24h};
    for (size_t failures = 0;; ++failures) {
      const TimePoint due = clock_.now();
      for (;;) {
        Want want(failures == 0 ? Lane::kHandshake : Lane::kRetry);
        OrderQueue::Ask ask{{name_of(name), name.substr(2)}, {0}, clock_.now() + 25s};
        Task<OrderQueue::Place> entering = queue_.enter(std::move(ask), want);
        Result<OrderQueue::Place> place = co_await std::move(entering).result();
        if (place) {
          (failures == 0 ? first_tries : repeats).note(clock_.now() - due, true);
          const Millis first = about(10s, 20), second = about(10s, 20);
          place->ordered();
          co_await sleep(clock_, first);
          if (failures == 0 && place->take_another()) place->ordered();
          co_await sleep(clock_, second);
          budget_.authorization_failed(0, name_of(name), clock_.now());
          break;
        }
        const Millis pause = std::max(about(5s, 60), place.error().retry_after);
        co_await sleep(clock_, pause);
      }
      const Millis pause = about(kSchedule[std::min<size_t>(failures, 3)], 20);
      co_await sleep(clock_, pause);
    }
  }

  Task<> arrivals(Lane lane, Millis from, Millis every) {
    co_await sleep(clock_, from);
    for (int i = 0;; ++i) {
      const std::string kind = lane == Lane::kRenewal ? "g.old" : "g.new";
      begin(one(kind + std::to_string(i) + ".test", lane));
      co_await sleep(clock_, every);
    }
  }

  Task<> one(std::string name, Lane lane) {
    const TimePoint came = clock_.now();
    for (;;) {
      Want want(lane);
      OrderQueue::Ask ask{{name_of(name), name.substr(2)}, {0}, clock_.now() + 25s};
      ask.plan.renewal = ask.plan.replaces = lane == Lane::kRenewal;
      Task<OrderQueue::Place> entering = queue_.enter(std::move(ask), want);
      Result<OrderQueue::Place> place = co_await std::move(entering).result();
      Waits& waits = lane == Lane::kRenewal ? renewals : good;
      waits.note(clock_.now() - came, place.has_value());
      if (place) {
        place->ordered();
        place->issued();
        co_await sleep(clock_, 3s);
        co_return Unit{};
      }
      const Millis pause = std::max<Millis>(5s, place.error().retry_after);
      co_await sleep(clock_, pause);
    }
  }

  const Setting setting_;
  ManualClock clock_;
  Budget budget_;
  OrderQueue queue_;
  std::mt19937 random_;
  std::deque<Task<>> flows_;  // go first
};

struct Sums {
  Waits good, renewals, first_tries, repeats;

  void run(const Herd::Setting& setting, Millis duration) {
    Herd herd(setting);
    herd.run(duration);
    good.add(herd.good);
    renewals.add(herd.renewals);
    first_tries.add(herd.first_tries);
    repeats.add(herd.repeats);
  }
  void print(const char* title) const {
    std::printf("%s\n", title);
    good.print("good new names");
    renewals.print("renewals");
    first_tries.print("broken, first tries");
    repeats.print("broken, repeats");
  }
};

// Whatever the moment at which the good names come.
Sums at_all_phases(Herd::Setting setting, int phases, Millis duration) {
  Sums sums;
  for (int i = 0; i < phases; ++i) {
    setting.good_from = 100ms + 10s * i / phases;
    setting.seed = static_cast<unsigned>(i);
    sums.run(setting, duration);
  }
  return sums;
}

TEST(BrokenNamesTest, DoNotKeepAGoodNewNameWaiting) {
  Sums sums = at_all_phases({}, 10, 3h);
  sums.run({}, 30h);  // with the daily tries
  sums.print("300 broken names, 20 places, 40 slow ones, in step");
  EXPECT_EQ(sums.good.refused, 0);
  EXPECT_LE(sums.good.longest, 8s);
  EXPECT_LE(sums.renewals.longest, 1s);
  EXPECT_EQ(sums.first_tries.served, 11 * 300) << "the broken ones have their try too";

  Herd::Setting setting;
  setting.jitter = true;
  sums = at_all_phases(setting, 50, 20min);
  sums.print("300 broken names, 20 places, 40 slow ones, with jitter");
  EXPECT_EQ(sums.good.refused, 0);
  EXPECT_LE(sums.good.longest, 10s);
  EXPECT_LE(sums.renewals.longest, 1s);
}

TEST(BrokenNamesTest, FewSlowPlacesMakeTheWaitLongerButNobodyIsRefused) {
  Herd::Setting setting;
  setting.options.max_slow = 5;
  const Sums sums = at_all_phases(setting, 10, 3h);
  sums.print("300 broken names, 20 places, 5 slow ones, in step");
  EXPECT_EQ(sums.good.refused, 0);
  EXPECT_LE(sums.good.longest, 20s);
  EXPECT_LE(sums.renewals.longest, 1s);
}

// With 270 order tokens, and one more every 36 s, it is no longer places that are short.
TEST(BrokenNamesTest, LeaveTokensOfASmallAccountToGoodNames) {
  Herd::Setting setting;
  setting.limits = *IssuerLimits::named("letsencrypt");
  setting.good_every = 2min;
  setting.jitter = true;
  const Sums sums = at_all_phases(setting, 5, 6h);
  sums.print("300 broken names under Let's Encrypt's limits, a good name every 2 min");
  EXPECT_LE(sums.good.longest, 60s) << "a token comes every 36 s";
  EXPECT_LE(sums.renewals.longest, 1s);
}

}  // namespace
}  // namespace latchkey
