#include "ondemand/budget.h"

#include <gtest/gtest.h>

#include <random>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

ServerName name_of(const std::string& text) {
  return *ServerName::parse(text);
}

OrderPlan plan_of(const std::string& name, Lane lane = Lane::kHandshake) {
  const size_t dot = name.find('.');
  return OrderPlan{name_of(name), name.substr(dot + 1), lane};
}

class BudgetTest : public testing::Test {
 protected:
  bool take(const OrderPlan& plan) { return budget.take(0, plan, now); }
  int take_all(const OrderPlan& plan) {
    int taken = 0;
    while (take(plan)) ++taken;
    return taken;
  }
  // Each for a name and a domain of its own.
  int take_new(Lane lane) {
    int taken = 0;
    while (take(plan_of("a.n" + std::to_string(++last_) + ".test", lane))) ++taken;
    return taken;
  }
  std::string why(const OrderPlan& plan) { return budget.quote(0, plan, now).why; }
  Millis wait(const OrderPlan& plan) {
    return std::max(Millis(0), Millis(budget.quote(0, plan, now).at - now));
  }

  TimePoint now{1h};
  WallTime wall{1'800'000'000s};
  Budget budget{{{"le", *IssuerLimits::named("letsencrypt")}, {"other", {}}}, std::nullopt};

 private:
  int last_ = 0;
};

TEST_F(BudgetTest, AFifthOfTheOrderTokensIsLeftToHandshakes) {
  EXPECT_EQ(take_new(Lane::kPrefetch), 216);
  EXPECT_EQ(take_new(Lane::kRetry), 0);
  EXPECT_EQ(take_new(Lane::kHandshake), 54);
  EXPECT_EQ(why(plan_of("a.b.test")), "new orders of the account");
  EXPECT_EQ(wait(plan_of("a.b.test")), 36s);
  EXPECT_EQ(wait(plan_of("a.b.test", Lane::kPrefetch)), 36s * 55);
  EXPECT_FALSE(budget.quote(0, plan_of("a.b.test"), now).of_the_name);
  now += 36s;
  EXPECT_EQ(take_new(Lane::kHandshake), 1);
}

TEST_F(BudgetTest, TheThrottleKeepsAFifthToo) {
  Budget own({{"le", {}}}, Rate::of(10, 60s));
  int taken = 0;
  while (own.take(0, plan_of("a.b.test", Lane::kPrefetch), now)) ++taken;
  EXPECT_EQ(taken, 8);
  EXPECT_EQ(own.quote(0, plan_of("a.b.test", Lane::kPrefetch), now).why, "on_demand.throttle");
  while (own.take(0, plan_of("a.b.test"), now)) ++taken;
  EXPECT_EQ(taken, 10);
}

TEST_F(BudgetTest, OneDomainCannotHaveAllOrders) {
  for (int i = 0; i < 45; ++i) ASSERT_TRUE(take(plan_of("n" + std::to_string(i) + ".one.test")));
  const OrderPlan next = plan_of("n45.one.test");
  EXPECT_FALSE(take(next));
  EXPECT_EQ(why(next), "certificates under the registered domain one.test");
  EXPECT_TRUE(budget.quote(0, next, now).of_the_name);
  EXPECT_EQ(wait(next), Millis(7 * 24h) / 50);
  EXPECT_TRUE(take(plan_of("a.two.test")));
  EXPECT_TRUE(budget.take(1, next, now)) << "the other issuer has limits of its own";
}

TEST_F(BudgetTest, TheSameNameIsOrderedFourTimesAWeek) {
  EXPECT_EQ(take_all(plan_of("a.one.test")), 4);
  EXPECT_EQ(why(plan_of("a.one.test")), "certificates for exactly this name");
}

TEST_F(BudgetTest, ARenewalTakesNoOrderToken) {
  EXPECT_EQ(take_new(Lane::kHandshake), 270);
  OrderPlan renewal = plan_of("a.one.test", Lane::kRenewal);
  renewal.renewal = true;
  EXPECT_EQ(take_all(renewal), 4) << "the name's own limit holds";
  renewal.replaces = true;
  EXPECT_EQ(take_all(renewal), 96) << "100 renewals at once, then 10 a second";
  EXPECT_EQ(wait(renewal), 100ms);
  EXPECT_EQ(why(renewal), "renewals of the account");
}

TEST_F(BudgetTest, AReplacementThatTheCaRefusesCostsATokenOfTheName) {
  OrderPlan renewal = plan_of("a.one.test", Lane::kRenewal);
  renewal.renewal = renewal.replaces = true;
  ASSERT_TRUE(take(renewal));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(budget.take_plain(0, renewal, now));
  EXPECT_FALSE(budget.take_plain(0, renewal, now));
  renewal.replaces = false;
  EXPECT_EQ(why(renewal), "certificates for exactly this name");
  EXPECT_TRUE(budget.take_plain(1, renewal, now)) << "no limits there";
}

TEST_F(BudgetTest, AnOrderThatTheCaHasAlreadyTakesNoToken) {
  EXPECT_EQ(take_new(Lane::kHandshake), 270);
  OrderPlan plan = plan_of("a.one.test");
  EXPECT_FALSE(take(plan));
  plan.resumed = true;
  EXPECT_TRUE(take(plan));
}

TEST_F(BudgetTest, ANameThatHasNoFailureLeftIsNotOrdered) {
  const OrderPlan plan = plan_of("a.one.test");
  for (int i = 0; i < 4; ++i) budget.authorization_failed(0, plan.name, now);
  EXPECT_FALSE(take(plan));
  EXPECT_EQ(why(plan), "failed authorizations of the name");
  EXPECT_TRUE(budget.quote(0, plan, now).of_the_name);
  now += 12min;
  EXPECT_TRUE(take(plan));
  EXPECT_TRUE(take(plan)) << "an order takes no failure token";
}

TEST_F(BudgetTest, AHoldOnAnyResourceOfAnOrderStopsAllOrdersThere) {
  const OrderPlan plan = plan_of("a.one.test");
  OrderPlan renewal = plan;
  renewal.renewal = renewal.replaces = true;
  for (const std::string resource : {"directory", "newNonce", "newAccount", "newOrder", "order",
                                     "authorization", "challenge", "finalize", "certificate"}) {
    SCOPED_TRACE(resource);
    budget.hold(0, LimitKind::kRequests, resource, now + 1h);
    EXPECT_FALSE(take(plan));
    EXPECT_FALSE(take(renewal));
    EXPECT_EQ(why(plan), resource + " requests to the CA (the CA told us to wait)");
    EXPECT_FALSE(budget.quote(0, plan, now).of_the_name);
    EXPECT_EQ(budget.held_until(0, now), now + 1h);
    EXPECT_EQ(budget.request_at(0, resource, now), now + 1h);
    EXPECT_EQ(budget.request_at(0, "renewalInfo", now), now);
    EXPECT_TRUE(budget.take(1, plan, now));
    now += 1h;
    EXPECT_EQ(budget.held_until(0, now), now);
    EXPECT_EQ(wait(plan), 0ms);
  }
  budget.hold(0, LimitKind::kRequests, "renewalInfo", now + 1h);
  EXPECT_TRUE(take(plan));
}

TEST_F(BudgetTest, WhatWasNotUsedComesBack) {
  const OrderPlan plan = plan_of("a.one.test");
  const auto left = [&](LimitKind kind) {
    for (const Budget::View& view : budget.view_of(plan.name, plan.domain, now)) {
      if (view.issuer == budget.issuers()[0].name && view.kind == kind) return view.tokens;
    }
    for (const Budget::View& view : budget.view(now)) {
      if (view.issuer == budget.issuers()[0].name && view.kind == kind) return view.tokens;
    }
    return int64_t{-1};
  };
  const int64_t orders = left(LimitKind::kOrders), names = left(LimitKind::kIdentifiers);
  ASSERT_TRUE(take(plan));
  ASSERT_TRUE(budget.take_another(0, plan, now));
  EXPECT_EQ(left(LimitKind::kOrders), orders - 2);
  EXPECT_EQ(left(LimitKind::kIdentifiers), names - 1);
  budget.give_back(0, plan, Budget::Unused::kOrder);
  EXPECT_EQ(left(LimitKind::kOrders), orders - 1);
  budget.give_back(0, plan, Budget::Unused::kCertificate);
  EXPECT_EQ(left(LimitKind::kIdentifiers), names);
  EXPECT_EQ(left(LimitKind::kOrders), orders - 1);
}

TEST_F(BudgetTest, AHoldOnTheAccountLeavesItsRenewals) {
  budget.hold(0, LimitKind::kOrders, "", now + 1h);
  EXPECT_FALSE(take(plan_of("a.one.test")));
  OrderPlan renewal = plan_of("a.one.test", Lane::kRenewal);
  renewal.renewal = renewal.replaces = true;
  EXPECT_TRUE(take(renewal));
  EXPECT_EQ(budget.held_until(0, now), now + 1h) << "of new orders";
}

TEST_F(BudgetTest, AHoldCountsWhereThereIsNoLimitToo) {
  const OrderPlan plan = plan_of("a.one.test");
  budget.hold(1, LimitKind::kDomain, "one.test", now + 10s);
  EXPECT_FALSE(budget.take(1, plan, now));
  EXPECT_TRUE(budget.quote(1, plan, now).of_the_name);
  budget.hold(1, LimitKind::kDomain, "one.test", now + 5s);
  EXPECT_EQ(budget.quote(1, plan, now).at, now + 10s) << "a hold is not shortened";
  now += 10s;
  EXPECT_TRUE(budget.take(1, plan, now));
}

TEST_F(BudgetTest, RequestsHaveAPaceByResource) {
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(budget.request_at(0, "newNonce", now), now);
    budget.take_request(0, "newNonce", now);
  }
  EXPECT_EQ(budget.request_at(0, "newNonce", now), now + 50ms);
  for (int i = 0; i < 112; ++i) budget.take_request(0, i % 2 ? "order" : "challenge", now);
  EXPECT_EQ(budget.request_at(0, "certificate", now), now + 4ms) << "these share one";
  EXPECT_EQ(budget.request_at(1, "certificate", now), now);
  EXPECT_TRUE(take(plan_of("a.one.test"))) << "an order does not wait for a moment's pace";
}

TEST_F(BudgetTest, NewNamesOfADomainAreBounded) {
  Budget own({}, std::nullopt, Rate::of(50, 7 * 24h));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(own.take_new_name("one.test", now), std::nullopt);
  EXPECT_EQ(own.take_new_name("one.test", now), now + Millis(7 * 24h) / 50);
  EXPECT_EQ(own.take_new_name("two.test", now), std::nullopt);
  EXPECT_EQ(budget.take_new_name("one.test", now), std::nullopt);
}

TEST_F(BudgetTest, TheStagingAndProductionLimitsAreThePublishedOnes) {
  const auto staging = IssuerLimits::named("letsencrypt-staging");
  EXPECT_EQ(staging->orders, (Rate{1350, 7200ms}));
  EXPECT_EQ(staging->domain, std::nullopt);
  EXPECT_EQ(staging->name_failures, (Rate{180, 18s}));
  EXPECT_EQ(staging->other_requests, (Rate{18, 50ms}));
  const auto production = IssuerLimits::named("letsencrypt");
  EXPECT_EQ(production->orders, (Rate{270, 36s}));
  EXPECT_EQ(production->identifiers, (Rate{4, Millis(7 * 24h) / 5}));
  EXPECT_EQ(production->new_order, (Rate{180, 4ms})) << "never faster than what is allowed";
  EXPECT_EQ(IssuerLimits::named("none"), IssuerLimits());
  EXPECT_EQ(IssuerLimits::named("lets"), std::nullopt);
}

TEST_F(BudgetTest, ShowsWhatIsLeft) {
  take(plan_of("a.one.test"));
  take(plan_of("b.one.test"));
  take(plan_of("a.two.test"));
  budget.hold(1, LimitKind::kRequests, "newOrder", now + 1min);
  const std::vector<Budget::View> views = budget.view(now, 2);
  ASSERT_EQ(views.size(), 5u);
  EXPECT_EQ(views[0].kind, LimitKind::kOrders);
  EXPECT_EQ(views[0].tokens, 267);
  EXPECT_EQ(views[0].burst, 270);
  EXPECT_EQ(views[2].issuer, "other");
  EXPECT_EQ(views[2].held_for, 1min);
  EXPECT_EQ(views[2].burst, 0);
  EXPECT_EQ(views[3].tokens, 3);
  EXPECT_EQ(views[4].tokens, 3);
  const auto own = budget.view_of(name_of("b.one.test"), "one.test", now);
  ASSERT_EQ(own.size(), 3u);
  EXPECT_EQ(own[0].tokens, 43);
  EXPECT_EQ(own[1].tokens, 3);
  EXPECT_EQ(own[2].tokens, 4);
}

TEST_F(BudgetTest, EachChangedBucketIsToldOnce) {
  take(plan_of("a.one.test"));
  take(plan_of("b.one.test"));
  budget.take_request(0, "newOrder", now);
  EXPECT_EQ(budget.take_changes(now, wall).size(), 4u);  // orders, domain, two names
  EXPECT_TRUE(budget.take_changes(now, wall).empty());
  budget.hold(0, LimitKind::kRequests, "newOrder", now + 90s);
  const auto held = budget.take_changes(now, wall);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(held[0].kind, "requests");
  EXPECT_EQ(held[0].key, "newOrder");
  EXPECT_EQ(held[0].full_at_ms, 0);
  EXPECT_EQ(held[0].held_until_ms, 1'800'000'090'000);
}

TEST_F(BudgetTest, NoRowReachesFurtherThanItsLimit) {
  constexpr int64_t kEver = std::numeric_limits<int64_t>::max();
  budget.load({{"le", "orders", "", kEver, 0},
               {"le", "domain", "one.test", kEver, kEver},
               {"le", "requests", "newOrder", kEver, kEver},
               {"le", "identifiers", "a.one.test", std::numeric_limits<int64_t>::min(), -5},
               {"", "throttle", "", kEver, 0},
               {"gone", "orders", "", kEver, kEver},
               {"le", "no such limit", "", kEver, kEver}},
              now, wall);
  EXPECT_EQ(budget.held_until(0, now), now + 25h + 1s);
  now += 25h + 1s;
  EXPECT_TRUE(take(plan_of("a.two.test")));
  EXPECT_TRUE(take(plan_of("a.one.test")));
}

TEST_F(BudgetTest, AHoldIsNotShortenedByTheSecondsOfTheCalendar) {
  budget.hold(0, LimitKind::kRequests, "newOrder", now + 3600s);
  const auto rows = budget.take_changes(now + 999ms, wall);  // calendar time is 999 ms behind
  Budget after({{"le", *IssuerLimits::named("letsencrypt")}}, std::nullopt);
  after.load(rows, now + 1s, wall + 1s);
  EXPECT_GE(after.held_until(0, now), now + 3600s);
  EXPECT_LE(after.held_until(0, now), now + 3602s);
}

TEST_F(BudgetTest, WhatIsFullAgainIsForgotten) {
  for (int day = 0; day < 60; ++day) {
    for (int i = 0; i < 100; ++i) {
      const std::string n = std::to_string(day * 100 + i);
      ASSERT_TRUE(take(plan_of("a.n" + n + ".test")));
    }
    now += 24h;
  }
  EXPECT_LE(budget.keyed(), 400u);  // the last 34 hours' names, and a bit
}

TEST_F(BudgetTest, AtTheBoundTheOneThatIsFullSoonestGoes) {
  IssuerLimits limits;
  limits.domain = Rate::of(10, 10h);
  Budget small({{"ca", limits}}, std::nullopt, {}, 100);
  for (int i = 0; i < 3; ++i) small.take(0, plan_of("a.busy.test"), now);
  small.hold(0, LimitKind::kDomain, "held.test", now + 24h);
  for (int i = 0; i < 1000; ++i) {
    now += 1ms;
    ASSERT_TRUE(small.take(0, plan_of("a.n" + std::to_string(i) + ".test"), now));
    ASSERT_LE(small.keyed(), 100u);
  }
  EXPECT_EQ(small.view_of(name_of("a.busy.test"), "busy.test", now)[0].tokens, 7);
  EXPECT_FALSE(small.take(0, plan_of("a.held.test"), now));
  EXPECT_EQ(small.view_of(name_of("a.n0.test"), "n0.test", now)[0].tokens, 10) << "forgotten";
  EXPECT_LE(small.take_changes(now, wall).size(), 100u);
}

// Another way to write down a token bucket: what is in it now.
struct Level {
  Rate rate;
  int64_t level = rate.burst * rate.interval.count();
  TimePoint then{};
  TimePoint held{};

  void to(TimePoint now) {
    level = std::min(rate.burst * rate.interval.count(), level + (now - then).count());
    then = now;
  }
  bool has(TimePoint now, int64_t keep) const {
    Level at = *this;
    at.to(now);
    return held <= now && at.level >= (keep + 1) * rate.interval.count();
  }
  void take(TimePoint now) {
    to(now);
    level -= rate.interval.count();
  }
};

class Reference {
 public:
  explicit Reference(std::optional<Rate> throttle) : throttle_(throttle) {}
  void limits(std::string issuer, IssuerLimits limits) { limits_[issuer] = limits; }

  Level& bucket(const std::string& issuer, const std::string& kind, const std::string& key) {
    const IssuerLimits& limits = limits_[issuer];
    const std::optional<Rate> rate = kind == "orders"          ? limits.orders
                                     : kind == "renewals"      ? limits.renewals
                                     : kind == "domain"        ? limits.domain
                                     : kind == "identifiers"   ? limits.identifiers
                                     : kind == "name_failures" ? limits.name_failures
                                     : kind == "throttle"      ? throttle_
                                                               : std::nullopt;
    const auto made = buckets_.try_emplace(issuer + "/" + kind + "/" + key,
                                           Level{rate.value_or(Rate{1'000'000, 1s})});
    return made.first->second;
  }
  std::vector<std::pair<Level*, int64_t>> taken(const std::string& issuer, const OrderPlan& plan) {
    const auto kept = [&](Level& level) {
      return std::pair(&level, plan.lane == Lane::kHandshake ? 0 : level.rate.burst / 5);
    };
    std::vector<std::pair<Level*, int64_t>> levels;
    if (plan.renewal) levels.push_back({&bucket(issuer, "renewals", ""), 0});
    if (!plan.renewal) {
      levels.push_back(kept(bucket("", "throttle", "")));
      levels.push_back(kept(bucket(issuer, "orders", "")));
      levels.push_back({&bucket(issuer, "domain", plan.domain), 0});
    }
    if (!plan.renewal || !plan.replaces) {
      levels.push_back({&bucket(issuer, "identifiers", plan.name.text()), 0});
    }
    return levels;
  }
  bool may(const std::string& issuer, const OrderPlan& plan, TimePoint now) {
    for (const auto& [level, keep] : taken(issuer, plan)) {
      if (!level->has(now, keep)) return false;
    }
    return bucket(issuer, "name_failures", plan.name.text()).has(now, 0) &&
           bucket(issuer, "requests", "newOrder").held <= now;
  }
  void take(const std::string& issuer, const OrderPlan& plan, TimePoint now) {
    for (const auto& [level, keep] : taken(issuer, plan)) level->take(now);
  }
  void lengthen_holds(TimePoint now) {
    for (auto& [key, level] : buckets_) {
      if (level.held > now) level.held += 1s;
    }
  }

 private:
  std::optional<Rate> throttle_;
  std::map<std::string, IssuerLimits> limits_;
  std::map<std::string, Level> buckets_;
};

// Random orders, failures, holds and restarts; after each the budget says what the reference says.
TEST(BudgetPropertyTest, IsWhatTheReferenceSaysThroughRestarts) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(round);
    std::vector<Budget::Issuer> issuers{{"a", {}}, {"b", {}}};
    const std::optional<Rate> throttle =
        pick(2) ? std::optional(Rate{5 + pick(20), 1s * (1 + pick(9))}) : std::nullopt;
    Reference reference(throttle);
    const auto any_rate = [&](int burst, int seconds) {
      return pick(4) ? std::optional(Rate{1 + pick(burst), 1s * (1 + pick(seconds))})
                     : std::nullopt;
    };
    for (Budget::Issuer& issuer : issuers) {
      issuer.limits.orders = any_rate(30, 10);
      issuer.limits.renewals = any_rate(20, 4);
      issuer.limits.domain = any_rate(10, 60);
      issuer.limits.identifiers = any_rate(5, 300);
      issuer.limits.name_failures = any_rate(4, 100);
      reference.limits(issuer.name, issuer.limits);
    }
    auto budget = std::make_unique<Budget>(issuers, throttle);
    std::map<std::tuple<std::string, std::string, std::string>, BucketRecord> rows;
    TimePoint now{0ms};
    WallTime wall{1'800'000'000s};

    for (int step = 0; step < 1500; ++step) {
      const std::string domain = "d" + std::to_string(pick(4)) + ".test";
      OrderPlan plan{name_of("n" + std::to_string(pick(5)) + "." + domain), domain,
                     static_cast<Lane>(pick(kLanes))};
      plan.renewal = pick(3) == 0;
      plan.replaces = plan.renewal && pick(2);
      const size_t issuer = static_cast<size_t>(pick(2));
      const std::string& ca = issuers[issuer].name;
      switch (pick(12)) {
        case 0: {
          const int64_t seconds = pick(4) ? pick(10) : pick(2000);
          now += 1s * seconds;
          wall += 1s * seconds;
          break;
        }
        case 1:
          budget->authorization_failed(issuer, plan.name, now);
          if (issuers[issuer].limits.name_failures) {
            Level& failures = reference.bucket(ca, "name_failures", plan.name.text());
            failures.take(now);
            failures.level = std::max<int64_t>(0, failures.level);
          }
          break;
        case 2: {
          const TimePoint until = now + 1s * pick(30);
          const bool all = pick(4) == 0;
          budget->hold(issuer, all ? LimitKind::kRequests : LimitKind::kDomain,
                       all ? "newOrder" : domain, until);
          TimePoint& held =
              reference.bucket(ca, all ? "requests" : "domain", all ? "newOrder" : domain).held;
          held = std::max(held, until);
          break;
        }
        case 3: {  // a restart
          for (BucketRecord& row : budget->take_changes(now, wall)) {
            rows[{row.issuer, row.kind, row.key}] = std::move(row);
          }
          if (pick(10) != 0) break;
          std::vector<BucketRecord> records;
          for (const auto& [key, row] : rows) records.push_back(row);
          const auto before = budget->view(now, 1000);
          budget = std::make_unique<Budget>(issuers, throttle);
          budget->load(records, now, wall);
          reference.lengthen_holds(now);
          ASSERT_EQ(budget->view(now, 1000).size(), before.size());
          // Holds grow by a second each time that they are read: the row has to follow.
          for (auto& [key, row] : rows) row.held_until_ms += row.held_until_ms == 0 ? 0 : 1000;
          break;
        }
        default: {
          const bool may = reference.may(ca, plan, now);
          const Budget::Quote quote = budget->quote(issuer, plan, now);
          ASSERT_EQ(quote.at <= now, may) << step << " " << quote.why;
          if (!may) {
            ASSERT_TRUE(reference.may(ca, plan, quote.at)) << step << " " << quote.why;
            ASSERT_FALSE(reference.may(ca, plan, quote.at - 1ms)) << step << " " << quote.why;
          }
          const auto left = budget->view(now, 1000);
          ASSERT_EQ(budget->take(issuer, plan, now), may) << step;
          if (may) {
            reference.take(ca, plan, now);
          } else {  // all or nothing
            const auto still = budget->view(now, 1000);
            ASSERT_EQ(still.size(), left.size());
            for (size_t i = 0; i < left.size(); ++i) ASSERT_EQ(still[i].tokens, left[i].tokens);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace latchkey
