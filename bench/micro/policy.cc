// Is a name wanted? Of what is known already: nobody is asked.
#include "policy/policy.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <memory>
#include <vector>

#include "bench/micro/names.h"
#include "tests/policy/fake_http.h"
#include "tests/support/fake_store.h"
#include "tests/support/fd.h"
#include "tests/support/manual_clock.h"

namespace latchkey::bench {
namespace {

constexpr uint64_t kNames = 100'000;

// An allowlist of so many names and one suffix, and an endpoint that is never to be asked.
class Wanted {
 public:
  Wanted() {
    std::vector<std::string> entries{"*.suffix.example"};
    for (uint64_t i = 0; i < kNames; ++i) entries.push_back(shop(i));
    std::vector<Allowlist::BadLine> bad;
    auto list = Allowlist::load(entries, {}, bad);
    CHECK(list && bad.empty());
    AskEndpoint::Options asking;
    asking.url = "http://127.0.0.1/";
    policy_ = std::make_unique<Policy>(Policy::Options(), *list,
                                       std::make_unique<AskEndpoint>(asking, http_, clock_, log_),
                                       store_, clock_, log_);
  }

  // The endpoint has allowed it, as the store has it.
  void remember(const ServerName& name) {
    VerdictRecord record;
    record.asked = clock_.wall_now();
    record.until = record.asked + std::chrono::hours(1);
    record.stale_until = record.asked + std::chrono::hours(24);
    auto deciding = policy_->decide(name, AskReason::kIssue, record);
    deciding.start();
    CHECK(deciding.done() && deciding.outcome()->verdict == Verdict::kAllow);
  }

  Policy& policy() { return *policy_; }

 private:
  test::Fd null_{open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Log log_{null_.get(), Log::Format::kText, LogLevel::kError};
  ManualClock clock_;
  FakeHttp http_;
  FakeStore store_;
  std::unique_ptr<Policy> policy_;
};

// The same for all rounds: loading it takes longer than measuring.
Wanted& wanted() {
  static Wanted made;
  return made;
}

void decide(benchmark::State& state, Rota names, VerdictSource source) {
  Policy& policy = wanted().policy();
  for (auto _ : state) {
    Decision decision = policy.decide_without_asking(names.next());
    benchmark::DoNotOptimize(decision);
  }
  if (policy.decide_without_asking(names.next()).source != source) {
    state.SkipWithError("the decision is not what this says");
  }
}

void PolicyAllowlistExact(benchmark::State& state) {
  decide(state, Rota(0, kNames), VerdictSource::kAllowlistExact);
}
BENCHMARK(PolicyAllowlistExact);

void PolicyAllowlistSuffix(benchmark::State& state) {
  const auto below = [](uint64_t i) { return "shop" + std::to_string(i) + ".suffix.example"; };
  decide(state, Rota(0, kNames, below), VerdictSource::kAllowlistSuffix);
}
BENCHMARK(PolicyAllowlistSuffix);

void PolicyRememberedVerdict(benchmark::State& state) {
  for (uint64_t i = 0; i < kNames; ++i) wanted().remember(parsed(shop(kNames + i)));
  decide(state, Rota(kNames, kNames), VerdictSource::kRemembered);
}
BENCHMARK(PolicyRememberedVerdict);

}  // namespace
}  // namespace latchkey::bench
