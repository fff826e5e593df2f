// Reading a name that a stranger sent.
#include "base/server_name.h"

#include <benchmark/benchmark.h>

#include <string>

namespace latchkey::bench {
namespace {

void ParseName(benchmark::State& state, const std::string& text, bool good) {
  if (ServerName::parse(text).has_value() != good) {
    state.SkipWithError("the name is not what this says");
    return;
  }
  for (auto _ : state) {
    auto name = ServerName::parse(text);
    benchmark::DoNotOptimize(name);
  }
}
BENCHMARK_CAPTURE(ParseName, plain, "shop12345.customers.example", true);
BENCHMARK_CAPTURE(ParseName, upper_case, "Shop12345.Customers.Example.", true);
BENCHMARK_CAPTURE(ParseName, idn, "xn--bcher-kva.customers.example", true);
BENCHMARK_CAPTURE(ParseName, invalid_byte, "shop_12345.customers.example", false);
BENCHMARK_CAPTURE(ParseName, invalid_address, "192.0.2.117", false);
BENCHMARK_CAPTURE(ParseName, invalid_idn, "xn--a.customers.example", false);

}  // namespace
}  // namespace latchkey::bench
