// How many certificates a second one core issues: our ACME server, durably, and Pebble, which keeps
// all in memory, one after the other in the same run. Each order is whole: from newOrder to the
// chain, over HTTPS and kept connections, with one ES256 account; validation believes everybody.
// And what the store alone makes of an order's writes. Server on one core, client on another.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "bench/studies/cpu.h"
#include "cache/sqlite_store.h"
#include "tests/support/authority_site.h"
#include "tests/support/pebble.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr size_t kParallel = 128;  // orders, a connection each
constexpr seconds kWarmUp{2};
constexpr double kAim = 1'000;  // orders a second

double quantile(std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
}

struct Figures {
  std::vector<double> ms;  // an order each
  double seconds = 0, server_cpu = 0, client_cpu = 0;
  size_t requests = 0, bad_nonces = 0, errors = 0;
  std::string first_error{};

  double rate() const { return static_cast<double>(ms.size()) / seconds; }
  // On a core that nobody else has.
  double rate_alone() const { return static_cast<double>(ms.size()) / server_cpu; }
  void print(const char* what) {
    std::sort(ms.begin(), ms.end());
    const auto orders = static_cast<double>(std::max<size_t>(ms.size(), 1));
    std::printf("  %-34s %8.0f %9.0f %8.2f %8.2f   %7.2f %7.2f   %5.1f %6zu %6zu\n", what, rate(),
                rate_alone(), quantile(ms, 0.5), quantile(ms, 0.99), server_cpu * 1e3 / orders,
                client_cpu * 1e3 / orders, static_cast<double>(requests) / orders, bad_nonces,
                errors);
    if (errors != 0) std::printf("    the first error: %s\n", first_error.c_str());
    std::fflush(stdout);
  }
};

// Orders, as many at a time as there are connections.
class Load {
 public:
  Load(test::AcmeUser::Server server, pid_t pid) : server_(std::move(server)), pid_(pid) {
    test::AcmeUser user(server_, key_);
    auto account = user.sign_up();
    if (!account) {
      std::fprintf(stderr, "no account: %s\n", account.error().message.c_str());
      std::exit(1);
    }
    account_ = *std::move(account);
  }

  Figures run(seconds time) {
    std::vector<std::thread> threads;
    threads.reserve(kParallel);
    for (size_t i = 0; i < kParallel; ++i) threads.emplace_back([this, i] { order(i); });
    std::this_thread::sleep_for(kWarmUp);
    counting_ = true;
    const double server = cpu_of(pid_), client = cpu_of(getpid());
    const auto begin = Clock::now();
    std::this_thread::sleep_for(time);
    counting_ = false;
    figures_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    figures_.server_cpu = cpu_of(pid_) - server;
    figures_.client_cpu = cpu_of(getpid()) - client;
    ended_ = true;
    for (std::thread& one : threads) one.join();
    return std::move(figures_);
  }

 private:
  void order(size_t who) {
    test::AcmeUser user(server_, key_);
    user.sign_in(account_);
    for (size_t n = 0; !ended_; ++n) {
      const std::string name =
          "n" + std::to_string(n) + ".u" + std::to_string(who) + ".internal.test";
      const size_t requests = user.requests(), bad_nonces = user.bad_nonces();
      const auto begin = Clock::now();
      const auto obtained = user.obtain(name);
      const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
      const std::lock_guard lock(mutex_);
      if (!obtained && figures_.errors++ == 0) figures_.first_error = obtained.error().message;
      if (!obtained || !counting_) continue;
      figures_.ms.push_back(took.count());
      figures_.requests += user.requests() - requests;
      figures_.bad_nonces += user.bad_nonces() - bad_nonces;
    }
  }

  const test::AcmeUser::Server server_;
  const pid_t pid_;
  const acme::AccountKey key_ = acme::AccountKey::generate();
  std::string account_;
  std::atomic<bool> counting_ = false, ended_ = false;
  std::mutex mutex_;
  Figures figures_;  // guarded by mutex_
};

// What is started within this runs on the server's core.
struct OnServerCore {
  OnServerCore() { stay_on(kServerCpu); }
  ~OnServerCore() { stay_on(kClientCpu); }
};

Figures pebble(seconds time) {
  const test::TempFolder folder;
  test::Pebble::Options options;
  options.sleeps = false;
  options.env = {{"PEBBLE_VA_ALWAYS_VALID", "1"}, {"PEBBLE_WFE_NONCEREJECT", "0"}};
  std::unique_ptr<test::Pebble> pebble;
  {
    const OnServerCore core;
    pebble = std::make_unique<test::Pebble>(folder / "pebble", options);
  }
  const test::AcmeUser::Server server{pebble->directory(), "localhost",
                                      test::read_text(pebble->ca_file())};
  return Load(server, pebble->pid()).run(time);
}

Figures ours(seconds time) {
  test::AuthoritySite site;
  test::EdgeSettings& settings = site.edge.settings;
  settings.workers = 1;
  settings.log_level = "info";
  settings.cpu = kServerCpu;
  CHECK(site.edge.start());
  return Load(site.server(), site.edge.pid()).run(time);
}

// An order's writes, one after the other, as the server does them: made, proven, issued.
Task<> write_order(AuthorityStore& store, std::string id) {
  AcmeOrderRow order;
  order.authority = "local";
  order.id = id;
  order.account = "account";
  order.expires = WallTime(std::chrono::hours(1'000'000));
  order.document.assign(900, 'x');
  co_await store.put_acme_order(order);
  co_await store.put_acme_order(order);
  IssuedCertificate certificate;
  certificate.authority = "local";
  certificate.serial = "5e" + id;
  certificate.signer = 1;
  certificate.holder = "account";
  certificate.leaf.assign(500, 'c');
  std::optional<AcmeOrderRow> last = order;
  co_await store.put_issued(certificate, last);
  co_return Unit{};
}

Figures store_alone(seconds time) {
  const OnServerCore core;  // both of its threads, too
  const test::TempFolder folder;
  Loop loop;
  Log log(2, Log::Format::kText, LogLevel::kError);
  auto opened = SqliteStore::open({folder / "latchkey.db", folder / "key"}, loop.address(), log);
  CHECK(opened);
  Figures figures;
  struct Running {
    Task<> task{};
    Clock::time_point begin{};
  };
  std::vector<Running> running(kParallel);
  size_t orders = 0;
  const auto begin = Clock::now();
  const double cpu = cpu_of(getpid());
  while (Clock::now() < begin + time) {
    for (Running& one : running) {
      if (orders >= kParallel && !one.task.done()) continue;
      if (orders >= kParallel) {
        CHECK(one.task.outcome());
        figures.ms.push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - one.begin).count());
      }
      // Like a random id.
      char id[24];
      std::snprintf(id, sizeof id, "%016llx", ++orders * 0x9e3779b97f4a7c15ULL);
      one.begin = Clock::now();
      one.task = write_order((*opened)->authority_store(), id);
      one.task.start();
    }
    loop.run_until([&] {
      return std::any_of(running.begin(), running.end(),
                         [](const Running& one) { return one.task.done(); });
    });
  }
  figures.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  figures.server_cpu = cpu_of(getpid()) - cpu;
  for (Running& one : running) {
    loop.run_until([&] { return one.task.done(); });
  }
  return figures;
}

int run(seconds time) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  stay_on(kClientCpu);
  std::printf(
      "authority: whole orders, %zu at a time, for %lld s; server and client on one core each\n",
      kParallel, static_cast<long long>(time.count()));
  std::printf("  %-34s %8s %9s %8s %8s   %7s %7s   %5s %6s %6s\n", "", "orders/s", "a CPU s",
              "ms 50%", "99%", "CPU ms", "client", "reqs", "nonces", "errors");
  store_alone(time).print("the store alone (3 writes each)");
  pebble(time).print("Pebble (in memory)");
  Figures edge = ours(time);
  edge.print("our ACME server (durable)");
  std::printf("  %s (aim: %.0f orders/s of a core)\n",
              edge.rate() >= kAim         ? "within the aim"
              : edge.rate_alone() >= kAim ? "within the aim on a core that nobody else uses"
                                          : "NOT within the aim",
              kAim);
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int time = argc > 1 ? std::atoi(argv[1]) : 20;
  if (time < 1) {
    std::fprintf(stderr, "usage: %s [SECONDS of each]\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(std::chrono::seconds(time));
}
