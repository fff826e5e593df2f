#include "edge/control.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/json.h"
#include "edge/listener.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kTrimPause = 5s;
constexpr Millis kAnswersLook = 50ms;
constexpr int64_t kHerd = 1000;           // handshakes: 10 MiB or less
constexpr Millis kPredecessorTime = 60s;  // beside what the upgrade gives each step
constexpr size_t kReservedFiles = 256;    // for the CA, the ask endpoint, the store and the log

// The soft limit of open files becomes the hard one. How many of them are for clients and
// upstreams.
size_t raise_file_limit(Log& log) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto files = static_cast<size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 22));
  if (files < 8192) {
    log.warning("few_descriptors", "the limit of open files is low; raise LimitNOFILE",
                {{"limit", files}});
  }
  return files - std::min(files / 2, kReservedFiles);
}

// A third is left by those that wait to those that are served, and to the CA: it looks for its
// challenges at the same listeners.
size_t most_parked(const Config& config, size_t max_descriptors) {
  return std::min(static_cast<size_t>(config.on_demand.max_parked), max_descriptors / 3 * 2);
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ",") + item;
  return out;
}

}  // namespace

struct Control::SignalHandle {
  SignalHandle(Control& control, int number) : to(control) {
    uv_signal_init(&control.loop_.uv(), handle.get());
    handle->data = this;
    uv_signal_start(
        handle.get(),
        [](uv_signal_t* h, int n) { static_cast<SignalHandle*>(h->data)->to.on_signal(n); },
        number);
  }
  Control& to;
  UvPtr<uv_signal_t> handle{new uv_signal_t};
};

Control::Origin Control::Origin::of_this_process(int argc, char** argv) {
  Origin out;
  out.program = Program::of_this_process(argc, argv);
  out.sockets = InheritedSockets::from_systemd();
  out.predecessor = Predecessor::from_environment(out.sockets);
  return out;
}

Control::Control(Config config, std::string config_file, Reread reread, Log& log, Origin origin)
    : config_(std::move(config)),
      config_file_(std::move(config_file)),
      reread_(std::move(reread)),
      log_(log),
      origin_(std::move(origin)),
      cache_({static_cast<size_t>(config_.cache_max_certificates),
              static_cast<size_t>(config_.cache_max_bytes)}),
      max_descriptors_(raise_file_limit(log_)),
      parking_({most_parked(config_, max_descriptors_),
                static_cast<size_t>(config_.on_demand.max_parked_per_name),
                static_cast<size_t>(config_.on_demand.max_parked_per_prefix)}) {}

// The predecessor is heard on our loop, which waits for whoever uses it.
Control::~Control() {
  origin_.predecessor.reset();
}

Result<> Control::start() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) {
    signals_.push_back(std::make_unique<SignalHandle>(*this, number));
  }
  started_ = loop_.clock().wall_now();
  const auto tls_policy = TlsPolicy::load(config_);
  if (!tls_policy) return tls_policy.error();
  const auto fallback = Fallback::load_usable(config_, log_);
  fallback->warn_of_expired(log_, started_);
  open_reloader();
  auto front = load_front(config_);
  if (!front) return front.error();
  front_ = *std::move(front);
  // Who takes over finds out what is wrong while the other one still does all of the work. Others
  // take no connections before they know that the state folder is theirs.
  std::vector<Worker::Sockets> sockets;
  if (origin_.predecessor != nullptr) {
    if (auto files = check_files(config_); !files) return files;
    auto opened = open_sockets(worker_count(config_));
    if (!opened) return opened.error();
    sockets = *std::move(opened);
  }
  if (auto opened = open_plane(); !opened) return opened;
  if (origin_.predecessor == nullptr) {
    auto opened = open_sockets(worker_count(config_));
    if (!opened) return opened.error();
    sockets = *std::move(opened);
  }
  shared_.emplace(make_shared_state());
  Worker::Settings settings;
  std::vector<std::string> troubles;
  settings.routes = make_routes(config_, troubles);
  for (const std::string& trouble : troubles) log_.error("upstream_tls_unusable", trouble);
  auto challenge_route = make_challenge_route(config_);
  if (!challenge_route) return challenge_route.error();
  settings.challenge_route = *challenge_route;
  settings.fallback = fallback;
  settings.tls = make_tls(*tls_policy);
  settings.front = front_;
  settings.connect_timeout = config_.upstream_connect_timeout;
  settings.response_timeout = config_.upstream_response_timeout;
  settings.resolvers = config_.upstream_resolvers;
  if (origin_.predecessor != nullptr) {
    auto ready = origin_.predecessor->ready(config_.upgrade_timeout + kPredecessorTime);
    if (!ready) return ready;
  }
  if (auto listens = start_listening(); !listens) return listens;
  workers_.reserve(sockets.size());
  for (Worker::Sockets& mine : sockets) {
    workers_.push_back(std::make_unique<WorkerThread>(*shared_, settings, std::move(mine)));
  }
  open_admin();
  serve_predecessor();
  log_.info("ready", "all listeners accept",
            {{"https", joined(config_.https)},
             {"http", joined(config_.http)},
             {"workers", workers_.size()},
             {"pid", static_cast<int64_t>(::getpid())},
             {"version", LATCHKEY_VERSION}});
  service_.ready();
  plane_->start();
  trim_after_herds();
  return Unit{};
}

Result<> Control::open_plane() {
  std::optional<StateLock> lock;
  if (origin_.predecessor != nullptr) {
    lock = StateLock::adopt(origin_.predecessor->take_lock().release());
    auto ours = origin_.predecessor->prepared(config_.upgrade_timeout + kPredecessorTime);
    if (!ours) return ours;
  }
  auto plane = ControlPlane::open(config_, loop_, cache_, challenges_, log_, std::move(lock));
  if (!plane) return plane.error();
  plane_ = *std::move(plane);
  ticket_keys_.emplace(plane_->derive_secret("session tickets"));
  reloader_->compare_with(*plane_->policy().allowlist());
  return Unit{};
}

void Control::run() {
  loop_.run();
  admin_.reset();
  workers_.clear();
  log_counts();
  log_.info("stopped", "goodbye");
}

void Control::on_signal(int number) {
  if (number == SIGHUP) {
    // Also when the configuration is bad: logrotate has moved the file.
    if (front_->access_log != nullptr) front_->access_log->reopen();
    reload([](const Result<Reloaded>&) {});
  } else if (number == SIGUSR2) {
    begin_upgrade();
  } else if (number == SIGTERM && !stopping_) {
    drain();
  } else {
    loop_.stop();
  }
}

// Who is about to take over may have read the old configuration.
void Control::reload(Reloader::Told told) {
  if (upgrade_ != nullptr && !stopping_) pass_reload_on_ = true;
  service_.reloading();
  reloader_->reload([this, told = std::move(told)](const Result<Reloaded>& outcome) {
    service_.ready();
    told(outcome);
  });
}

void Control::drain() {
  // One that has been replaced is ending already: this one was still under way, and held orders.
  if (upgrade_ != nullptr) plane_->release_orders();
  upgrade_.reset();
  service_.stopping();
  kept_.clear();
  if (origin_.predecessor != nullptr) origin_.predecessor->leaving();
  drain_workers(Worker::Drain::kSoon, config_.shutdown_grace, "shutdown_grace");
}

void Control::drain_workers(Worker::Drain how, Millis grace, const char* setting) {
  stopping_ = true;
  log_.info("draining", "no new connections; what is being answered is finished",
            {{"grace", show_duration(grace)}, {"connections", connections_.load()}});
  draining_ = workers_.size();
  const int drain = ++drains_;
  for (const auto& worker : workers_) {
    worker->post([this, how, drain, to_control = loop_.address()](Worker& w) {
      w.drain(how, [this, drain, to_control] {
        to_control.post([this, drain] {
          if (drain == drains_) worker_drained();
        });
      });
    });
  }
  grace_ = loop_.clock().after(grace, [this, setting] {
    log_.warning("drain_timeout", std::string("connections are cut: ") + setting + " is over",
                 {{"connections", connections_.load()}});
    loop_.stop();
  });
}

void Control::worker_drained() {
  if (--draining_ > 0) return;
  log_.info("drained", "all connections have ended");
  end_when_answered();
}

// One before us may wait for what we have asked our successor for; the grace bounds this, too.
void Control::end_when_answered() {
  if (origin_.predecessor == nullptr || !origin_.predecessor->waits()) return loop_.stop();
  answered_ = loop_.clock().after(kAnswersLook, [this] { end_when_answered(); });
}

void Control::trim_after_herds() {
  trim_ = loop_.clock().after(kTrimPause, [this] { trim_after_herds(); });
  const auto parked = static_cast<int64_t>(counts_.parked.value());
  if (parked - parked_at_trim_ >= kHerd) {
    parked_at_trim_ = parked;
    trims_due_ = 2;  // when the first comes, the herd's connections may still be closing
  }
  if (trims_due_ == 0 || parking_.parked() > 0) return;
  --trims_due_;
  ::malloc_trim(0);
}

void Control::log_counts() {
  const auto number = [](const Counter& counter) { return static_cast<int64_t>(counter.value()); };
  log_.info("counts", "handshakes since the start",
            {{"accepted", number(counts_.accepted)},
             {"served", number(counts_.served)},
             {"challenges", number(counts_.challenges)},
             {"parked", number(counts_.parked)},
             {"refused_name", number(counts_.refused_name)},
             {"refused_temporary", number(counts_.refused_temporary)},
             {"park_timeouts", number(counts_.park_timeouts)},
             {"park_overflows", number(counts_.park_overflows)},
             {"failed", number(counts_.failed)}});
  plane_->log_counts();
}

}  // namespace latchkey::edge
