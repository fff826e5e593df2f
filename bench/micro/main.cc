// latchkey-bench-micro: the parts of a handshake and of a request, each by itself.
// --benchmark_filter=REGEX chooses; --help shows more.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
