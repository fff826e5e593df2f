// The certificate cache: what every handshake does first.
#include <benchmark/benchmark.h>

#include <limits>
#include <memory>
#include <utility>

#include "bench/micro/names.h"
#include "cache/certificate_cache.h"
#include "tests/support/test_certificates.h"

namespace latchkey::bench {
namespace {

constexpr CertificateCache::Limits kLimits{4'000'000, std::numeric_limits<size_t>::max() / 4};

const TestCa& ca() {
  static const TestCa made;
  return made;
}

// Of `count` shops, all with one certificate, which is for none of them: each has its own entry.
// Kept until another count is asked for.
const CertificateCache& cache_of(int64_t count) {
  static std::unique_ptr<CertificateCache> cache;
  static int64_t has = -1;
  if (std::exchange(has, count) == count) return *cache;
  cache.reset();
  cache = std::make_unique<CertificateCache>(kLimits);
  const CertificatePtr certificate = ca().issue({"other.example"});
  for (int64_t i = 0; i < count; ++i) {
    cache->put(parsed(shop(static_cast<uint64_t>(i))), certificate);
  }
  return *cache;
}

void look_up(benchmark::State& state, const CertificateCache& cache, Rota names, bool found) {
  const WallTime now = TestCa::now();
  for (auto _ : state) {
    CacheHit hit = cache.look_up(names.next(), now);
    benchmark::DoNotOptimize(hit);
  }
  for (size_t i = 0; i < Rota::kNames; ++i) {
    if ((cache.look_up(names.next(), now).certificate != nullptr) != found) {
      state.SkipWithError(found ? "a name was not found" : "a name was found");
      return;
    }
  }
}

void CacheHit(benchmark::State& state) {
  look_up(state, cache_of(state.range(0)), Rota(0, static_cast<uint64_t>(state.range(0))), true);
}

void CacheMiss(benchmark::State& state) {
  look_up(state, cache_of(state.range(0)), Rota(1u << 30, 1u << 30), false);
}

// In the order of their caches.
BENCHMARK(CacheHit)->Arg(1000);
BENCHMARK(CacheMiss)->Arg(1000);
BENCHMARK(CacheHit)->Arg(100'000);
BENCHMARK(CacheMiss)->Arg(100'000);
BENCHMARK(CacheHit)->Arg(1'000'000);
BENCHMARK(CacheMiss)->Arg(1'000'000);

// One wildcard's certificate for all; beside each name what the policy said of it.
void CacheHitByWildcardWithExtras(benchmark::State& state) {
  static std::unique_ptr<CertificateCache> cache;
  static int64_t has = -1;
  if (std::exchange(has, state.range(0)) != state.range(0)) {
    cache.reset();
    cache = std::make_unique<CertificateCache>(kLimits);
    cache->put(parsed(shop(0)), ca().issue({"*.customers.example"}));
    NameExtras extras;
    extras.grant = std::make_shared<const Grant>(Grant{.upstream = "http://10.0.0.7:3000"});
    for (int64_t i = 0; i < has; ++i) {
      cache->put_extras(parsed(shop(static_cast<uint64_t>(i))), extras);
    }
  }
  look_up(state, *cache, Rota(0, static_cast<uint64_t>(state.range(0))), true);
}
BENCHMARK(CacheHitByWildcardWithExtras)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace latchkey::bench
