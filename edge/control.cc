#include "edge/control.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "base/json.h"
#include "edge/admin_api.h"
#include "edge/listener.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kHelloTimeout = 10s;
constexpr Millis kTrimPause = 5s;
constexpr int64_t kHerd = 1000;         // handshakes: 10 MiB or less
constexpr size_t kReservedFiles = 256;  // for the CA, the ask endpoint, the store and the log

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

size_t worker_count(const Config& config) {
  if (config.workers > 0) return static_cast<size_t>(config.workers);
  return std::max(1U, std::thread::hardware_concurrency());
}

NameState state_of(Coordinator::Plain plain) {
  switch (plain) {
    case Coordinator::Plain::kUnknown:
      return NameState::kUnknown;
    case Coordinator::Plain::kServed:
      return NameState::kServed;
    case Coordinator::Plain::kPlainOnly:
      return NameState::kPlainOnly;
  }
  return NameState::kUnknown;
}

AddressRanges ranges_of(const std::vector<std::string>& texts) {
  AddressRanges out;
  for (const std::string& text : texts) CHECK(out.add(text));  // the configuration was checked
  return out;
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

Control::Control(Config config, std::string config_file, Reread reread, Log& log)
    : config_(std::move(config)),
      config_file_(std::move(config_file)),
      reread_(std::move(reread)),
      log_(log),
      cache_({static_cast<size_t>(config_.cache_max_certificates),
              static_cast<size_t>(config_.cache_max_bytes)}),
      max_descriptors_(raise_file_limit(log_)),
      parking_({most_parked(config_, max_descriptors_),
                static_cast<size_t>(config_.on_demand.max_parked_per_name),
                static_cast<size_t>(config_.on_demand.max_parked_per_prefix)}) {}

Control::~Control() = default;

Result<> Control::start() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) {
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
  auto plane = ControlPlane::open(config_, loop_, cache_, challenges_, log_);
  if (!plane) return plane.error();
  plane_ = *std::move(plane);
  ticket_keys_.emplace(plane_->derive_secret("session tickets"));
  reloader_->compare_with(*plane_->policy().allowlist());

  const size_t count = worker_count(config_);
  std::vector<Worker::Sockets> sockets;
  for (size_t i = 0; i < count; ++i) {
    auto opened = open_sockets();
    if (!opened) return opened.error();
    sockets.push_back(*std::move(opened));
  }
  shared_.emplace(make_shared_state());
  Worker::Settings settings;
  auto routes = make_routes(config_);
  if (!routes) return routes.error();
  settings.routes = *routes;
  auto challenge_route = make_challenge_route(config_);
  if (!challenge_route) return challenge_route.error();
  settings.challenge_route = *challenge_route;
  settings.fallback = fallback;
  settings.tls = make_tls(*tls_policy);
  settings.front = front_;
  settings.connect_timeout = config_.upstream_connect_timeout;
  settings.response_timeout = config_.upstream_response_timeout;
  for (Worker::Sockets& mine : sockets) {
    workers_.push_back(std::make_unique<WorkerThread>(*shared_, settings, std::move(mine)));
  }
  open_admin();
  log_.info("ready", "all listeners accept",
            {{"https", joined(config_.https)},
             {"http", joined(config_.http)},
             {"workers", count},
             {"pid", static_cast<int64_t>(::getpid())},
             {"version", LATCHKEY_VERSION}});
  tell_systemd("READY=1");
  plane_->start();
  trim_after_herds();
  return Unit{};
}

void Control::run() {
  loop_.run();
  admin_.reset();
  workers_.clear();
  log_counts();
  log_.info("stopped", "goodbye");
}

std::shared_ptr<const TlsContext> Control::make_tls(const TlsPolicy& policy) {
  auto made = std::make_shared<TlsContext>(policy);
  made->use_ticket_keys(*ticket_keys_);
  made->use_compression(compression_);
  return made;
}

// A worker's own sockets. The first one settles which ports a port 0 stands for.
Result<Worker::Sockets> Control::open_sockets() {
  Worker::Sockets out;
  const auto open_all = [](std::vector<std::string>& addresses, auto& into) -> Result<> {
    for (std::string& text : addresses) {
      auto address = ListenAddress::parse(text);
      if (!address) return std::move(address).error().in("listen");
      auto fd = open_listener(*address);
      if (!fd) return fd.error();
      into.emplace_back(*fd);
      text = address->text();
    }
    return Unit{};
  };
  if (auto ok = open_all(config_.https, out.https); !ok) return ok.error();
  if (auto ok = open_all(config_.http, out.http); !ok) return ok.error();
  return out;
}

WorkerShared Control::make_shared_state() {
  const Config::OnDemand& on_demand = config_.on_demand;
  WorkerShared shared{
      .cache = cache_,
      .challenges = challenges_,
      .log = log_,
      .counts = counts_,
      .protections = protections_,
      .parking = parking_,
      .connections = connections_,
      .park_timeout = on_demand.park_timeout,
      .hello_timeout = kHelloTimeout,
      .max_descriptors = max_descriptors_,
      .workers = worker_count(config_),
      .https_port = ListenAddress::parse(config_.https.front())->port,
      .underscore_names = on_demand.underscore,
      .rsa_twins = config_.rsa != RsaTwins::kNever,
      .asks = on_demand.ask.has_value(),
      .proxy_protocol_from = ranges_of(config_.proxy_protocol_from),
      .front_counts = front_counts_,
      .want_certificate = {},
      .may_be_served = {},
      .visitors_left = {},
      .visitors_back = {},
      .recheck = {},
      .note_use = {},
  };
  // The plane is used on our thread, where the letters are opened; it outlives the loop's turns.
  shared.want_certificate = [this, to_control = loop_.address()](const ServerName& name, Slot slot,
                                                                 Mailbox::Address reply_to,
                                                                 WorkerShared::Outcome done) {
    to_control.post([this, name, slot, reply_to, done] {
      plane_->certificates(slot).join(
          name, Lane::kHandshake,
          [reply_to, done](const Result<CertificatePtr>& outcome) {
            reply_to.post([done, outcome] { done(outcome); });
          },
          reply_to.id());
    });
  };
  shared.may_be_served = [this, to_control = loop_.address()](const ServerName& name,
                                                              Mailbox::Address reply_to,
                                                              WorkerShared::Answer done) {
    to_control.post([this, name, reply_to, done] {
      plane_->served_names().join(
          name, Lane::kHandshake, [reply_to, done](const Result<Coordinator::Plain>& plain) {
            const NameState state = plain ? state_of(*plain) : NameState::kUnknown;
            reply_to.post([done, state] { done(state); });
          });
    });
  };
  shared.visitors_left = [this, to_control = loop_.address()](const ServerName& name, Slot slot,
                                                              Mailbox::Address worker) {
    to_control.post(
        [this, name, slot, worker] { plane_->certificates(slot).visitor_left(name, worker.id()); });
  };
  shared.visitors_back = [this, to_control = loop_.address()](const ServerName& name, Slot slot,
                                                              Mailbox::Address worker) {
    to_control.post(
        [this, name, slot, worker] { plane_->certificates(slot).visitor_back(name, worker.id()); });
  };
  shared.recheck = [this, to_control = loop_.address()](const ServerName& name) {
    to_control.post([this, name] { plane_->recheck(name); });
  };
  shared.note_use = [this, to_control = loop_.address()](const ServerName& name, Slot slot) {
    to_control.post([this, name, slot] { plane_->note_use(name, slot); });
  };
  return shared;
}

// Its absence stops nobody from being served.
void Control::open_admin() {
  ControlSteering::Parts parts{
      .loop = loop_,
      .log = log_,
      .plane = *plane_,
      .config = config_,
      .counts = counts_,
      .protections = protections_,
      .compression = compression_,
      .connections = connections_,
      .parking = parking_,
      .process =
          [this] {
            return ControlSteering::Process{config_file_,        started_,
                                            reloader_->loaded(), reloader_->needs_restart(),
                                            workers_.size(),     stopping_};
          },
      .reload = [this](Reloader::Told told) { reloader_->reload(std::move(told)); },
      .front = front_counts_.get(),
  };
  steering_ = std::make_unique<ControlSteering>(std::move(parts));
  if (!config_.admin_socket) return;
  auto server = AdminServer::open(
      config_.state(*config_.admin_socket).string(), loop_,
      [this](AdminRequest request) { return answer_admin(*steering_, std::move(request)); }, log_);
  if (server) {
    admin_ = *std::move(server);
  } else {
    log_.error("admin_unavailable",
               "the process serves, but cannot be steered: " + server.error().message);
  }
}

void Control::open_reloader() {
  Reloader::Hooks hooks;
  hooks.reread = reread_;
  hooks.apply = [this](const Reloader::Snapshot& snapshot) {
    plane_->replace_allowlist(snapshot.allowlist);
    plane_->replace_configured(snapshot.config);
    const auto tls = make_tls(snapshot.tls);
    for (const auto& worker : workers_) {
      worker->post([routes = snapshot.routes, fallback = snapshot.fallback, tls,
                    challenge_route = snapshot.challenge_route, front = snapshot.front](Worker& w) {
        w.replace_routes(routes);
        w.replace_fallback(fallback);
        w.replace_tls(tls);
        w.replace_challenge_route(challenge_route);
        w.replace_front(front);
      });
    }
    front_ = snapshot.front;
    log_.set_level(snapshot.config.log_level);
  };
  hooks.load_front = [this](const Config& config) { return load_front(config); };
  hooks.apply_allowlist = [this](std::shared_ptr<const Allowlist> list) {
    plane_->replace_allowlist(std::move(list));
  };
  reloader_ = std::make_unique<Reloader>(config_, std::move(hooks), loop_, log_);
}

Result<std::shared_ptr<const FrontOptions>> Control::load_front(const Config& config) {
  const auto path = [&config](const std::string& file) { return config.file(file); };
  return FrontOptions::load(config.front, path, front_.get(), log_, *front_counts_);
}

void Control::on_signal(int number) {
  if (number == SIGHUP) {
    // Also when the configuration is bad: logrotate has moved the file.
    if (front_->access_log != nullptr) front_->access_log->reopen();
    reloader_->reload([](const Result<Reloaded>&) {});
  } else if (number == SIGTERM && !stopping_) {
    drain();
  } else {
    loop_.stop();
  }
}

void Control::drain() {
  stopping_ = true;
  tell_systemd("STOPPING=1");
  log_.info(
      "draining", "no new connections; what is being answered is finished",
      {{"grace", show_duration(config_.shutdown_grace)}, {"connections", connections_.load()}});
  draining_ = workers_.size();
  for (const auto& worker : workers_) {
    worker->post([this, to_control = loop_.address()](Worker& w) {
      w.drain([this, to_control] { to_control.post([this] { worker_drained(); }); });
    });
  }
  grace_ = loop_.clock().after(config_.shutdown_grace, [this] {
    log_.warning("drain_timeout", "connections are cut: shutdown_grace is over",
                 {{"connections", connections_.load()}});
    loop_.stop();
  });
}

void Control::worker_drained() {
  if (--draining_ > 0) return;
  log_.info("drained", "all connections have ended");
  loop_.stop();
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

// sd_notify(3) is one datagram to the socket that NOTIFY_SOCKET names.
void Control::tell_systemd(const char* state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un to{};
  if (path == nullptr || std::strlen(path) >= sizeof to.sun_path) return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path, std::strlen(path));
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  ::sendto(fd, state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), size);
  ::close(fd);
}

}  // namespace latchkey::edge
