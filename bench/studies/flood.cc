// What strangers cost the names that are served: handshakes of cached names, beside as many
// handshakes of random unknown names a second, and beside the same number of cached ones. Server on
// one core, client and ask endpoint on another. Open loop.
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "bench/studies/cpu.h"
#include "bench/studies/open_loop.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::bench {
namespace {

using std::chrono::seconds;

constexpr size_t kCachedNames = 200;
constexpr double kWanted = 500, kBackground = 2000;  // handshakes a second
constexpr double kAim = 1.2;                         // of the p99s

std::string cached_name(size_t i) {
  return "c" + std::to_string(i % kCachedNames) + ".cached.test";
}

double client_cpu() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto s = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return s(usage.ru_utime) + s(usage.ru_stime);
}

// All that a write to the store would change.
struct StoreMark {
  std::filesystem::file_time_type database, wal;
  std::vector<std::string> rows;
  bool operator==(const StoreMark&) const = default;
};
StoreMark mark_of(const test::Site& site) {
  StoreMark mark;
  std::error_code none;
  mark.database = std::filesystem::last_write_time(site.database(), none);
  mark.wal = std::filesystem::last_write_time(site.database().string() + "-wal", none);
  mark.rows = test::StoreFile(site.database()).row_counts();
  return mark;
}

struct Round {
  StreamResult wanted, background;
  double server_cpu = 0, client_cpu = 0;  // shares of their cores
};

class Flood {
 public:
  // Without an ask endpoint there is an allowlist with a suffix.
  explicit Flood(bool with_ask) : site_(without_pebble()), with_ask_(with_ask) {
    test::EdgeSettings& settings = site_.edge.settings;
    settings.directory = ca_.directory();
    settings.workers = 1;
    settings.log_level = "info";
    settings.cpu = kServerCpu;
    settings.per_registered_domain = "null";
    settings.per_registered_domain = "null";  // all of them are under one
    if (with_ask) {
      settings.allow = {};
      settings.ask = ask_.url("/check");
    } else {
      settings.allow = {"*.cached.test"};
    }
  }

  void start() {
    CHECK(site_.edge.start());
    for (size_t i = 0; i < kCachedNames; ++i) {
      const auto handshake = site_.connect(cached_name(i)).handshake();
      if (!handshake.done) {
        std::fprintf(stderr, "%s: %s\n", cached_name(i).c_str(), handshake.error.c_str());
        std::exit(1);
      }
    }
    run(false, seconds(2));                   // warm
    std::this_thread::sleep_for(seconds(2));  // what is written behind is written now
  }

  Round run(bool strangers, seconds time) {
    OpenLoop client(site_.https.number());
    Stream wanted{kWanted, cached_name};
    Stream background{kBackground, [](size_t i) { return cached_name(i * 7 + 3); }};
    if (strangers) {
      background.hello_only = true;
      background.name = [first = strangers_](size_t i) {
        return "x" + std::to_string(10'000'000 + first + i) + ".strangers.test";
      };
    }
    const double server_before = cpu_of(site_.edge.pid());
    const double client_before = bench::client_cpu();
    const auto begin = std::chrono::steady_clock::now();
    auto results = client.run({wanted, background}, time);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (strangers) strangers_ += results[1].ms.size();
    Round round{std::move(results[0]), std::move(results[1])};
    round.server_cpu = (cpu_of(site_.edge.pid()) - server_before) / took.count();
    round.client_cpu = (bench::client_cpu() - client_before) / took.count();
    return round;
  }

  // Turns of both kinds; prints, and returns the ratio of their median p99s: a turn that something
  // else on the machine has disturbed is left out so.
  double compare(int turns, seconds time) {
    const StoreMark store = mark_of(site_);
    const size_t lines = site_.edge.process().lines().size();
    const size_t asked = ask_.requests();
    std::vector<double> calm_p99s, flooded_p99s;
    std::vector<size_t> resident;
    StreamResult strangers;
    for (int turn = 0; turn < turns; ++turn) {
      const Round calm = run(false, time);
      print("beside cached names", calm);
      const Round flooded = run(true, time);
      print(with_ask_ ? "beside unknown names, ask says 403" : "beside unknown names, allowlist",
            flooded);
      calm_p99s.push_back(quantile(calm.wanted.ms, 0.99));
      flooded_p99s.push_back(quantile(flooded.wanted.ms, 0.99));
      resident.push_back(site_.edge.process().resident_bytes() >> 10);
      strangers.refused += flooded.background.refused;
      strangers.finished += flooded.background.finished;
      strangers.failed += flooded.background.failed;
    }
    const double calm = quantile(calm_p99s, 0.5), flooded = quantile(flooded_p99s, 0.5);
    const double ratio = flooded / calm;
    std::printf(
        "  median p99: %.2f ms beside cached names, %.2f ms beside unknown ones: ratio %.2f "
        "(aim: at most %.1f)\n",
        calm, flooded, ratio, kAim);
    std::printf("  strangers: %zu names, %zu refused, %zu served, %zu cut off; %zu questions\n",
                strangers_, strangers.refused, strangers.finished, strangers.failed,
                ask_.requests() - asked);
    std::printf("  RSS after each turn:");
    for (const size_t kib : resident) std::printf(" %.1f", static_cast<double>(kib) / 1024);
    std::printf(" MiB; %zu lines logged; the store was %s\n",
                site_.edge.process().lines().size() - lines,
                mark_of(site_) == store ? "not written to" : "WRITTEN TO");
    return ratio;
  }

 private:
  static test::Site::Options without_pebble() {
    test::Site::Options options;
    options.pebble = false;
    return options;
  }

  static void print(const char* what, const Round& round) {
    std::printf("  %-36s %6.2f %6.2f %6.2f %7.2f   %3.0f %% %3.0f %%   %zu\n", what,
                quantile(round.wanted.ms, 0.5), quantile(round.wanted.ms, 0.9),
                quantile(round.wanted.ms, 0.99), quantile(round.wanted.ms, 1),
                round.server_cpu * 100, round.client_cpu * 100,
                round.wanted.failed + round.wanted.refused);
    std::fflush(stdout);
  }

  static test::Response judge(const test::Request& request) {
    test::Response response;
    if (!request.parameter("domain").ends_with(".cached.test")) response.status = 403;
    return response;
  }

  test::ScriptedCa ca_;
  test::HttpServer ask_{judge};
  test::Site site_;
  const bool with_ask_;
  size_t strangers_ = 0;  // names so far
};

int run(int percent) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  stay_on(kClientCpu);
  const auto time = [percent](int all) { return seconds(std::max(1, all * percent / 100)); };
  std::printf(
      "flood: %.0f/s handshakes of %zu cached names beside %.0f/s others, open loop; one "
      "core each\n",
      kWanted, kCachedNames, kBackground);
  std::printf("  %-36s %6s %6s %6s %7s   %5s %5s   %s\n", "ms of the cached names", "50%", "90%",
              "99%", "slowest", "server", "client", "failed");
  bool good = true;
  {
    Flood asked(true);
    asked.start();
    good = asked.compare(5, time(10)) <= kAim && good;
  }
  {
    Flood listed(false);
    listed.start();
    good = listed.compare(5, time(5)) <= kAim && good;
  }
  std::printf("%s\n", good ? "within the aim" : "NOT within the aim");
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
