// The memory of handshakes that wait for a certificate: so many at once for one new name, held at
// the ask endpoint; then all of them are served.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "tests/support/ask_server.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"

namespace latchkey::bench {
namespace {

using test::at;

constexpr double kAimKib = 24;  // of RSS for each parked handshake

size_t parked(const test::Site& site) {
  return static_cast<size_t>(at(site.edge.admin_json("GET", "/status"), "parked").number);
}

double mib(size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

int run(size_t count) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  std::promise<void> release;
  test::AskServer ask([held = release.get_future().share()](const std::string& domain) {
    if (domain == "herd.test") held.wait();
    return test::Response();
  });
  test::ScriptedCa ca;
  test::Site::Options options;
  options.pebble = false;
  test::Site site(options);
  test::EdgeSettings& settings = site.edge.settings;
  settings.directory = ca.directory();
  settings.allow = {};
  settings.ask = ask.url();
  settings.ask_timeout = "60s";
  settings.park_timeout = "60s";
  settings.log_level = "info";
  if (!site.edge.start() || !site.connect("first.test").handshake().done) return 1;

  const size_t before = site.edge.process().resident_bytes();
  size_t most = 0, during = 0;
  test::SwarmOptions herd;
  herd.port = site.https.number();
  herd.count = count;
  herd.sni = [](size_t) { return "herd.test"; };
  herd.source = test::spread_sources();
  herd.roots = ca.roots();
  herd.all_sent = [&] {
    test::eventually([&] { return (most = std::max(most, parked(site))) >= count; },
                     Millis(15'000));
    during = site.edge.process().resident_bytes();
    release.set_value();
  };
  const test::Stopwatch time;
  const auto handshakes = test::swarm(herd);
  const auto served =
      std::count_if(handshakes.begin(), handshakes.end(), [](const auto& h) { return h.verified; });
  const double kib = static_cast<double>(during - before) / 1024 / static_cast<double>(most);
  std::printf(
      "parked: %zu handshakes for one new name, %zu of them at once; %td served after "
      "%.1f s, %zu question(s), %zu order(s)\n",
      count, most, served, static_cast<double>(time.elapsed().count()) / 1000,
      ask.asked("herd.test"), ca.orders("herd.test"));
  std::printf(
      "  RSS %.1f MiB before, %.1f MiB while they waited, %.1f MiB at its highest: %.1f KiB "
      "for each (aim: at most %.0f)\n",
      mib(before), mib(during), mib(site.edge.process().peak_resident_bytes()), kib, kAimKib);
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 10'000;
  if (count < 1) {
    std::fprintf(stderr, "usage: %s [HANDSHAKES]\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(static_cast<size_t>(count));
}
