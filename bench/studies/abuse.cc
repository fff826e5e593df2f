// What clients that abuse HTTP cost a client that behaves: a page asked for 200 times a second over
// a kept connection, beside nobody, beside 500 slow clients, and beside floods of HTTP/2 frames, a
// million rapid resets among them. Server on one core, clients and upstream on another.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "base/check.h"
#include "bench/studies/cpu.h"
#include "tests/support/http2_flood.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/slow_clients.h"

namespace latchkey::bench {
namespace {

constexpr double kRate = 200;        // polite requests a second
constexpr size_t kUnits = 1'500;     // frames of a flood's connection; the edge takes 1000
constexpr double kConnections = 40;  // of a flood, a second: 60 000 frames
constexpr double kAim = 2;           // of the p99s

class Abused {
 public:
  Abused() : site_(without_pebble()) {
    test::EdgeSettings& settings = site_.edge.settings;
    settings.directory = ca_.directory();
    settings.workers = 1;
    settings.log_level = "info";
    settings.cpu = kServerCpu;
    CHECK(site_.edge.start());
    CHECK(site_.connect("a.test").handshake().done);
    measure("", [] { std::this_thread::sleep_for(std::chrono::seconds(2)); });  // warm
    resident_ = site_.edge.process().resident_bytes();
  }

  test::TlsOptions tls() const { return site_.tls("a.test"); }

  // One line about `work`; the p99.
  template <typename Work>
  double measure(const std::string& what, Work work) {
    const double cpu = cpu_of(site_.edge.pid());
    const auto begin = std::chrono::steady_clock::now();
    test::PoliteClient polite(tls(), kRate);
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const auto figures = polite.stop();
    if (what.empty()) return 0;
    const double p99 = figures.at(0.99);
    if (idle_ == 0) idle_ = p99;
    std::printf("  %-36s %6.2f %6.2f %6.2f %7.2f   %5.2f   %5.1f MiB   %4.1f of %4.1f s   %zu\n",
                what.c_str(), figures.at(0.5), figures.at(0.9), p99, figures.at(1), p99 / idle_,
                grown(), cpu_of(site_.edge.pid()) - cpu, took.count(), figures.failed);
    std::fflush(stdout);
    return p99;
  }
  double grown() {
    const auto now = static_cast<double>(site_.edge.process().resident_bytes());
    return (now - static_cast<double>(resident_)) / (1 << 20);
  }
  bool within() const { return worst_ <= kAim; }
  void judge(double p99) { worst_ = std::max(worst_, p99 / idle_); }

 private:
  static test::Site::Options without_pebble() {
    test::Site::Options options;
    options.pebble = false;
    return options;
  }

  test::ScriptedCa ca_;
  test::Site site_;
  size_t resident_ = 0;
  double idle_ = 0, worst_ = 0;
};

int run(int percent) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  stay_on(kClientCpu);
  const auto time = [percent](int all) {
    return std::chrono::milliseconds(std::max(1, all * percent / 100));
  };
  Abused edge;
  std::printf("abuse: %.0f requests a second of one client, beside others; one core each\n", kRate);
  std::printf("  %-36s %6s %6s %6s %7s   %5s   %9s   %13s   %s\n", "ms of the polite client", "50%",
              "90%", "99%", "slowest", "ratio", "memory", "server's CPU", "failed");
  edge.measure("nobody", [&] { std::this_thread::sleep_for(time(10'000)); });
  {
    std::optional<test::SlowClients> slow(std::in_place, edge.tls(), 500);
    edge.judge(
        edge.measure("500 slow clients", [&] { std::this_thread::sleep_for(time(10'000)); }));
  }
  for (const test::Abuse& abuse : test::abuse::all(kUnits)) {
    const bool resets = abuse.name == "resets";
    const auto units = static_cast<uint64_t>((resets ? 1'000'000 : 300'000) * percent / 100);
    const uint64_t at_most = abuse.ends ? units : units / 10;
    const std::string what = std::to_string(at_most) + " " + abuse.name;
    edge.judge(edge.measure(what, [&] {
      test::Http2Flood(edge.tls(), abuse, 2, at_most, abuse.ends ? kConnections : kConnections / 10)
          .wait();
    }));
    // As fast as one core can send them: what is shared is shared, and nothing is promised.
    if (resets) {
      edge.measure(what + ", unpaced",
                   [&] { test::Http2Flood(edge.tls(), abuse, 2, at_most).wait(); });
    }
  }
  std::printf("%s: p99 at most %.0f times that of idle, where the abuse is paced\n",
              edge.within() ? "within the aim" : "NOT within the aim", kAim);
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int percent = argc > 1 ? std::atoi(argv[1]) : 100;
  if (percent < 1) {
    std::fprintf(stderr, "usage: %s [PERCENT of the usual time]\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(percent);
}
