// The CAs' limits, before an order.
#include "ondemand/budget.h"

#include <benchmark/benchmark.h>

#include <vector>

#include "bench/micro/names.h"
#include "ondemand/gcra.h"

namespace latchkey::bench {
namespace {

using namespace std::chrono_literals;

void GcraTake(benchmark::State& state) {
  const Rate rate = Rate::of(300, 3h);
  Gcra gcra;
  TimePoint now{1h};
  for (auto _ : state) {
    now += rate.interval;
    benchmark::DoNotOptimize(now);
    const bool free = gcra.free_at(rate) <= now;
    if (free) gcra.take(rate, now);
    benchmark::DoNotOptimize(gcra);
  }
}
BENCHMARK(GcraTake);

// An order under all of Let's Encrypt's limits, of names under as many domains: quoted, taken, and
// given back, so that no limit is ever reached and no bucket is new.
void BudgetTakeAndGiveBack(benchmark::State& state) {
  const auto domains = static_cast<uint64_t>(state.range(0));
  Budget budget({{"le", *IssuerLimits::named("letsencrypt")}}, Rate::of(100, 10s),
                Rate::of(10, 1h));
  std::vector<OrderPlan> plans;
  TimePoint now{1h};
  for (uint64_t i = 0; i < domains; ++i) {
    const std::string domain = "shop" + std::to_string(i * 7919 % domains) + ".example";
    plans.push_back({.name = parsed("www." + domain), .domain = domain});
  }
  const auto order = [&](const OrderPlan& plan) {
    const bool free = budget.quote(0, plan, now).at <= now && budget.take(0, plan, now);
    budget.give_back(0, plan, Budget::Unused::kOrder);
    budget.give_back(0, plan, Budget::Unused::kCertificate);
    return free;
  };
  for (const OrderPlan& plan : plans) {
    if (!order(plan)) state.SkipWithError("a limit was reached");
  }
  size_t at = 0;
  for (auto _ : state) {
    bool free = order(plans[at++ % plans.size()]);
    benchmark::DoNotOptimize(free);
  }
  if (!order(plans[0])) state.SkipWithError("a limit was reached");
}
BENCHMARK(BudgetTakeAndGiveBack)->Arg(1000)->Arg(100'000);

}  // namespace
}  // namespace latchkey::bench
