#include <algorithm>
#include <thread>
#include <utility>

#include "base/check.h"
#include "edge/admin_api.h"
#include "edge/control.h"

// What Control::start() opens: the state that workers share, the admin API, the reloader.
namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kHelloTimeout = 10s;

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

}  // namespace

size_t Control::worker_count(const Config& config) {
  if (config.workers > 0) return static_cast<size_t>(config.workers);
  return std::max(1U, std::thread::hardware_concurrency());
}

std::shared_ptr<const TlsContext> Control::make_tls(const TlsPolicy& policy) {
  auto made = std::make_shared<TlsContext>(policy);
  made->use_ticket_keys(*ticket_keys_);
  made->use_compression(compression_);
  return made;
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
  if (config_.acme_server) {
    auto door = std::make_shared<AcmeDoor>();
    for (const std::string& host : config_.acme_server->hosts) {
      door->hosts.insert(ServerName::parse(host)->text());
    }
    door->ask = [this, to_control = loop_.address()](HttpRequest request, std::string client,
                                                     Mailbox::Address reply_to,
                                                     AcmeDoor::Done done) {
      auto letter = std::make_shared<HttpRequest>(std::move(request));
      to_control.post([this, letter, client = std::move(client), reply_to, done = std::move(done)] {
        plane_->answer_acme(std::move(*letter), client, [reply_to, done](HttpReply reply) {
          reply_to.post([done, reply = std::move(reply)] { done(reply); });
        });
      });
    };
    shared.acme = std::move(door);
  }
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
      .reload = [this](Reloader::Told told) { reload(std::move(told)); },
      .front = front_counts_.get(),
  };
  steering_ = std::make_unique<ControlSteering>(std::move(parts));
  if (!config_.admin_socket) return;
  open_admin_server(origin_.sockets.take_unix(config_.state(*config_.admin_socket).string()));
}

void Control::open_admin_server(std::optional<InheritedSockets::Named> given) {
  const std::string path = config_.state(*config_.admin_socket).string();
  const AdminHandler handler = [this](AdminRequest request) {
    return answer_admin(*steering_, std::move(request));
  };
  admin_is_given_ = given.has_value();
  auto server = given ? AdminServer::adopt(AdminSocket::adopt(path, std::move(given->socket),
                                                              given->name == "admin"),
                                           loop_, handler, log_)
                      : AdminServer::open(path, loop_, handler, log_);
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
    plane_->replace_acme_allow(snapshot.config);
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
    config_.shutdown_grace = snapshot.config.shutdown_grace;
    config_.upgrade_grace = snapshot.config.upgrade_grace;
    config_.upgrade_timeout = snapshot.config.upgrade_timeout;
  };
  hooks.load_front = [this](const Config& config) { return load_front(config); };
  hooks.apply_allowlist = [this](std::shared_ptr<const Allowlist> list) {
    plane_->replace_allowlist(std::move(list));
  };
  reloader_ = std::make_unique<Reloader>(config_, std::move(hooks), loop_, log_);
}

Result<std::shared_ptr<const FrontOptions>> Control::load_front(const Config& config) {
  const auto path = [&config](const std::string& file) { return config.file(file); };
  return FrontOptions::load(config.front, path, front_.get(), log_, *front_counts_, closing_);
}

}  // namespace latchkey::edge
