#include "bench/load/run.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/short_slices.h"
#include "bench/load/progress.h"

namespace latchkey::bench {
namespace {

using std::chrono::milliseconds;

constexpr auto kPulse = milliseconds(10);

std::atomic<bool> interrupted{false};

Span seconds(double s) {
  return Span(static_cast<int64_t>(s * 1e9));
}

double as_seconds(Span span) {
  return std::chrono::duration<double>(span).count();
}

std::string wall_time() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// A second Ctrl-C ends us in the usual way.
class InterruptEndsTheWindow {
 public:
  InterruptEndsTheWindow() {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptEndsTheWindow() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

// What the lanes' threads share. Written by lane 0 but where it says otherwise.
struct Shared {
  const Options& options;
  const TlsClient& client;
  const Course& course;
  const ServerUsage server;
  Window window;

  std::atomic<unsigned> ready{0}, finished{0};  // lanes; each adds itself
  std::atomic<Time> begin{Time::max()};         // of the operations: warm-up is first
  std::mutex mutex{};
  std::string failure{};  // the first reason to give up; guarded by mutex
  std::atomic<bool> failed{false}, ended{false};

  double server_cpu = 0, client_cpu = 0;  // at the window's beginning, then of the window
  uint64_t rss_after = 0;

  void give_up(std::string why) {
    const std::lock_guard lock(mutex);
    if (!failed) failure = std::move(why);
    failed = true;
  }
  void window_begins() {
    server_cpu = server.cpu_seconds();
    client_cpu = own_cpu_seconds();
  }
  // By lane 0, or by the last lane to finish; the first time counts.
  void window_ends() {
    if (ended.exchange(true)) return;
    server_cpu = server.cpu_seconds() - server_cpu;
    client_cpu = own_cpu_seconds() - client_cpu;
  }
};

class LaneThread {
 public:
  LaneThread(Shared& shared, unsigned index)
      : shared_(shared), index_(index), recorder_(shared.window, shared.course.operation) {}

  void run(Progress* progress, const std::vector<std::unique_ptr<LaneThread>>& all);

  const Recorder& recorder() const { return recorder_; }
  const std::map<std::string, double>& facts() const { return facts_; }

 private:
  enum class Phase { kPreparing, kWaiting, kRunning, kDraining };

  bool pin();
  void pulse(Load& load, Engine& engine);
  void lane_finished();
  void show(Progress& progress, const std::vector<std::unique_ptr<LaneThread>>& all, Time now);

  Shared& shared_;
  const unsigned index_;
  Recorder recorder_;
  std::map<std::string, double> facts_{};
  Phase phase_ = Phase::kPreparing;
  bool finished_ = false;
};

bool LaneThread::pin() {
  const int first = shared_.options.cpu;
  if (first < 0) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(first) + index_, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return true;
  shared_.give_up("--cpu: core " + std::to_string(static_cast<unsigned>(first) + index_) +
                  " cannot be used (" + std::strerror(errno) + "); there are cores 0 to " +
                  std::to_string(sysconf(_SC_NPROCESSORS_CONF) - 1));
  return false;
}

void LaneThread::run(Progress* progress, const std::vector<std::unique_ptr<LaneThread>>& all) {
  if (!pin()) return;
  ask_for_short_slices();  // what shares the core (an ask endpoint, a CA) is not to be measured
  const Options& options = shared_.options;
  Window& window = shared_.window;
  Engine engine;
  TlsShared tls(engine, shared_.client, seconds(options.timeout));
  Lane lane{options,
            index_,
            options.threads,
            engine,
            tls,
            recorder_,
            shared_.server,
            facts_,
            [this] { lane_finished(); },
            [this](std::string why) { shared_.give_up(std::move(why)); }};
  auto load = shared_.course.make(lane);
  if (!load) return shared_.give_up(load.error().message);

  Engine::Timer begin(engine, [&] {
    phase_ = Phase::kRunning;
    if (index_ == 0 && window.begin() <= shared_.begin.load()) shared_.window_begins();
    (*load)->begin(shared_.begin.load());
  });
  Engine::Timer window_begin(engine, [&] { shared_.window_begins(); });
  Engine::Timer window_end(engine, [&] {
    if (index_ == 0) shared_.window_ends();
    phase_ = Phase::kDraining;
    (*load)->stop();
  });
  Engine::Timer* beat = nullptr;
  Engine::Timer pulse_timer(engine, [&] {
    const Time now = Engine::now();
    if (shared_.failed) return engine.stop();
    if (phase_ == Phase::kPreparing && (*load)->ready()) {
      phase_ = Phase::kWaiting;
      ++shared_.ready;
    }
    if (index_ == 0 && shared_.ready == options.threads && shared_.begin.load() == Time::max()) {
      // Later than the next pulse of each other lane, so that all begin together.
      const Time first = now + (options.threads > 1 ? 3 * kPulse : milliseconds(0));
      const Span warmup = shared_.course.timed ? seconds(options.warmup) : Span(0);
      window.begin_at(first + warmup);
      if (shared_.course.timed) window.end_at(first + warmup + seconds(options.duration));
      if (warmup > Span(0)) window_begin.set(first + warmup);
      shared_.begin = first;
    }
    if (phase_ == Phase::kWaiting && shared_.begin.load() != Time::max()) {
      begin.set(shared_.begin.load());
      if (shared_.course.timed) window_end.set(window.end());
      phase_ = Phase::kRunning;
    }
    pulse(**load, engine);
    if (progress != nullptr) show(*progress, all, now);
    beat->set(now + kPulse);
  });
  beat = &pulse_timer;
  (*load)->prepare();
  pulse_timer.set(Engine::now());
  engine.run();
  if (index_ == 0 && shared_.server.any()) shared_.rss_after = shared_.server.resident_bytes();
  load->reset();
}

void LaneThread::pulse(Load& load, Engine& engine) {
  const Time now = Engine::now();
  Window& window = shared_.window;
  if (interrupted && index_ == 0) {
    if (now < window.begin()) return shared_.give_up("interrupted before anything was measured");
    if (now < window.end()) {
      if (phase_ == Phase::kRunning) shared_.window_ends();
      window.end_at(now);
    }
  }
  if (phase_ == Phase::kRunning && now >= window.end()) {
    phase_ = Phase::kDraining;
    load.stop();
  }
  if (phase_ != Phase::kDraining) return;
  const bool late = now > window.end() + seconds(shared_.options.timeout) + milliseconds(500);
  if (!window.open_loop() || late || load.under_way() == 0) engine.stop();
}

void LaneThread::lane_finished() {
  if (std::exchange(finished_, true)) return;
  if (++shared_.finished < shared_.options.threads) return;
  shared_.window_ends();
  shared_.window.end_at(Engine::now() + Span(1));
}

void LaneThread::show(Progress& progress, const std::vector<std::unique_ptr<LaneThread>>& all,
                      Time now) {
  Progress::State state;
  for (const auto& lane : all) {
    state.done += lane->recorder_.live_done();
    state.failed += lane->recorder_.live_failed();
  }
  state.main_failure = recorder_.main_failure();
  const Time begin = shared_.begin.load();
  const Window& window = shared_.window;
  state.phase = "preparing";
  if (begin != Time::max()) {
    state.elapsed = as_seconds(std::max(Span(0), Span(now - begin)));
    state.phase = now < window.begin() ? "warming up" : "measuring";
    if (shared_.course.timed) {
      state.share = as_seconds(now - begin) / as_seconds(window.end() - begin);
    } else if (shared_.course.expected != 0) {
      state.share = static_cast<double>(state.done + state.failed) /
                    static_cast<double>(shared_.course.expected);
    }
  }
  progress.show(state, now);
}

Span interval_of(const Options& options) {
  return seconds(options.interval > 0 ? options.interval : 1);
}

}  // namespace

Result<> enough_for_threads(const Options& options) {
  const bool count = options.count != 0 && options.count < options.threads;
  const bool connections = options.rate == 0 && options.connections < options.threads;
  if (!count && !connections) return Unit{};
  return Error{ErrorCode::kInvalid, std::string("--threads: expected at most as many as ") +
                                        (count ? "--count" : "--connections") + ", got " +
                                        std::to_string(options.threads)};
}

Result<Names> names_of(const Lane& lane) {
  return Names::make(lane.options.names, lane.index, lane.count);
}

Result<Measurement> run_course(const Options& options, const TlsClient& client,
                               const Course& course) {
  auto server = ServerUsage::of(options.server_pids);
  if (!server) return std::move(server).error();
  const InterruptEndsTheWindow until_interrupted;
  Shared shared{options, client, course, *std::move(server),
                Window(options.rate > 0, interval_of(options))};
  Measurement measurement;
  measurement.scenario = options.scenario;
  measurement.target = client.target().text;
  measurement.command = options.command;
  measurement.started = wall_time();
  const uint64_t rss_before = shared.server.any() ? shared.server.resident_bytes() : 0;

  std::vector<std::unique_ptr<LaneThread>> lanes;
  for (unsigned i = 0; i < options.threads; ++i) {
    lanes.push_back(std::make_unique<LaneThread>(shared, i));
  }
  {
    Progress progress(options.quiet ? nullptr : stderr, isatty(STDERR_FILENO) == 1,
                      options.scenario);
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < options.threads; ++i) {
      threads.emplace_back([&lanes, i] { lanes[i]->run(nullptr, lanes); });
    }
    lanes[0]->run(&progress, lanes);
  }
  if (shared.failed) return Error{ErrorCode::kIo, shared.failure};

  measurement.seconds = as_seconds(shared.window.end() - shared.window.begin());
  std::vector<const Recorder*> recorders;
  for (const auto& lane : lanes) {
    recorders.push_back(&lane->recorder());
    for (const auto& [name, value] : lane->facts()) measurement.facts[name] += value;
  }
  Recorder::merge(recorders, measurement);
  if (shared.server.any()) {
    measurement.server = Measurement::Server{shared.server_cpu, rss_before, shared.rss_after};
  }
  measurement.client_cpu_seconds = shared.client_cpu;
  if (course.conclude) course.conclude(measurement);
  return measurement;
}

}  // namespace latchkey::bench
