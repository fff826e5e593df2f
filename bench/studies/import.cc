// A Caddy data folder of so many certificates, imported into a running edge that goes on serving.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/support/caddy_tree.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"

namespace latchkey::bench {
namespace {

constexpr double kAimSeconds = 60;  // for 100 000

double seconds_of(const test::Stopwatch& time) {
  return static_cast<double>(time.elapsed().count()) / 1000;
}

// The times of handshakes for one name, one after the other, while `work` is done.
template <typename Work>
std::vector<double> handshakes_during(const test::TlsOptions& client, Work work) {
  std::vector<double> took;
  std::atomic<bool> done = false;
  std::thread visitor([&] {
    while (!done) {
      const auto start = std::chrono::steady_clock::now();
      if (!test::TlsClient(client).handshake().verified) continue;
      const std::chrono::duration<double, std::milli> span =
          std::chrono::steady_clock::now() - start;
      took.push_back(span.count());
    }
  });
  work();
  done = true;
  visitor.join();
  std::sort(took.begin(), took.end());
  return took;
}

void show(const char* what, const std::vector<double>& took) {
  if (took.empty()) return;
  std::printf("  handshakes of a cached name %s: %zu, p50 %.2f ms, p99 %.2f ms\n", what,
              took.size(), took[took.size() / 2], took[took.size() * 99 / 100]);
}

int run(size_t count) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  test::ScriptedCa ca;
  test::Site::Options options;
  options.pebble = false;
  test::Site site(options);
  site.edge.settings.directory = ca.directory();
  site.edge.settings.log_level = "info";
  const TestCa authority("Imported");
  const test::TempFolder folder(test::roomy_parent(count * test::kCaddyEntryBytes));
  const auto tree = folder / "caddy";
  const test::Stopwatch making;
  test::make_caddy_tree(tree, authority, count);
  std::printf("import: a folder of %zu certificates, made in %.1f s\n", count, seconds_of(making));

  test::TlsOptions client = site.tls("visited.test");
  client.roots = ca.roots();
  if (!site.edge.start() || !test::TlsClient(client).handshake().verified) return 1;
  show("before",
       handshakes_during(client, [] { std::this_thread::sleep_for(std::chrono::seconds(3)); }));
  double took = 0;
  test::Edge::Outcome taken;
  const auto during = handshakes_during(client, [&] {
    const test::Stopwatch time;
    taken = site.edge.command({"certs", "import", tree.string()}, Millis(3'600'000));
    took = seconds_of(time);
  });
  if (taken.code != 0) {
    std::fprintf(stderr, "%s", taken.output.c_str());
    return 1;
  }
  std::printf(
      "  imported in %.1f s, %.0f a second (aim: 100 000 in %.0f s); the edge's RSS %.0f MiB\n",
      took, static_cast<double>(count) / took, kAimSeconds,
      static_cast<double>(site.edge.process().resident_bytes()) / (1 << 20));
  show("meanwhile", during);
  const test::Stopwatch again;
  if (site.edge.command({"certs", "import", tree.string()}, Millis(3'600'000)).code != 0) return 1;
  std::printf("  once more, when all is there: %.1f s; %zu orders\n", seconds_of(again),
              ca.wishes().size() - 1);
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100'000;
  if (count < 1) {
    std::fprintf(stderr, "usage: %s [CERTIFICATES]\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(static_cast<size_t>(count));
}
