// Handing over to a new process, and taking over from an old one.
#include <signal.h>
#include <unistd.h>

#include "edge/control.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

// A program that the dead process was about to start may hold its lock for a moment.
constexpr Millis kLockTime = 10s;
constexpr Millis kLockLook = 50ms;

}  // namespace

void Control::begin_upgrade() {
  if (stopping_ || upgrade_ != nullptr) {
    log_.warning("upgrade_refused",
                 stopping_ ? "this process is ending already" : "another upgrade is under way");
    return;
  }
  if (::getpid() == 1) {
    log_.warning(
        "upgrade_refused",
        "this process is the first of its container, which would end with it: run it under "
        "an init (docker run --init), or replace the container");
    return;
  }
  std::vector<Upgrade::Passed> sockets;
  sockets.reserve(kept_.size() + 1);
  for (const Kept& kept : kept_) sockets.push_back({kept.socket.get(), kept.name});
  if (AdminSocket* const socket = admin_ != nullptr ? admin_->socket() : nullptr) {
    sockets.push_back({socket->descriptor(), socket->keeps_file() ? "admin" : "-"});
  }
  Upgrade::Hooks hooks;
  hooks.hold_orders = [this](std::function<void()> quiet) {
    plane_->hold_orders(std::move(quiet));
  };
  hooks.stop_accepting = [this](std::function<void()> done) { stop_accepting(std::move(done)); };
  hooks.replaced = [this](int pid, bool admin) { replaced(pid, admin); };
  hooks.failed = [this] { upgrade_failed(); };
  hooks.closed = [this](const std::string& address) {
    std::erase_if(kept_,
                  [&](const Kept& one) { return bound_address(one.socket.get()) == address; });
  };
  hooks.left = [this] { kept_.clear(); };
  hooks.died = [this] { try_to_take_back(loop_.clock().now() + kLockTime); };
  pass_reload_on_ = false;
  upgrade_ = std::make_unique<Upgrade>(std::move(hooks), loop_, log_, config_.upgrade_timeout);
  upgrade_->begin(origin_.program, plane_->lock_descriptor(), sockets);
}

// What comes from now on waits in the sockets' queues, which the new process has, too.
void Control::stop_accepting(std::function<void()> done) {
  accepting_ = false;
  if (admin_ != nullptr) admin_->pause();
  auto left = std::make_shared<size_t>(workers_.size());
  for (const auto& worker : workers_) {
    worker->post([left, done, to_control = loop_.address()](Worker& w) {
      w.stop_listening();
      to_control.post([left, done] {
        if (--*left == 0) done();
      });
    });
  }
}

void Control::replaced(int pid, bool admin) {
  log_.info("upgraded", "a new process serves; this one keeps the connections that it has",
            {{"successor", int64_t{pid}}});
  service_.main_process(pid);  // not before: systemd stops a service whose main process dies
  if (origin_.predecessor != nullptr) origin_.predecessor->leaving();
  if (admin_ != nullptr) {
    admin_->drain();
    if (AdminSocket* const socket = admin_->socket(); admin && socket != nullptr) {
      socket->lend(true);
    } else {
      admin_->close();
    }
  }
  plane_->hand_over([this](const ServerName& name, Slot slot, std::function<void(Result<>)> done) {
    upgrade_->want(name, slot, std::move(done));
  });
  if (pass_reload_on_) ::kill(pid, SIGHUP);
  drain_workers(Worker::Drain::kGently, config_.upgrade_grace, "upgrade_grace");
}

void Control::upgrade_failed() {
  plane_->release_orders();
  if (!std::exchange(accepting_, true)) {
    listen_again();
    if (admin_ != nullptr) admin_->resume();
  }
  upgrade_.reset();
}

// From a turn of its own, as it ends `upgrade_`. The lock may be shared by who the dead process has
// just started: that one takes over, then.
void Control::try_to_take_back(TimePoint until) {
  taking_back_ = loop_.clock().after(kLockLook, [this, until] {
    const Alarm running = std::move(taking_back_);
    const auto locked = plane_->lock_again();
    if (locked) return take_back();
    if (loop_.clock().now() < until) return try_to_take_back(until);
    log_.error("not_taken_back", "this process goes on to drain only: " + locked.error().message);
    kept_.clear();
    upgrade_->drop_wants();
  });
}

// The sockets' queues have what has arrived since.
void Control::take_back() {
  ++drains_;
  stopping_ = false;
  accepting_ = true;
  grace_.reset();
  answered_.reset();
  plane_->take_back();
  upgrade_->drop_wants();
  upgrade_.reset();
  for (const auto& worker : workers_) worker->post([](Worker& w) { w.stay(); });
  listen_again();
  AdminSocket* const socket = admin_ != nullptr ? admin_->socket() : nullptr;
  if (socket != nullptr && (socket->keeps_file() || socket->has_file())) {
    socket->lend(false);
    admin_->resume();
  } else if (config_.admin_socket) {
    open_admin_server(std::nullopt);
  }
  service_.main_process_again();
  log_.warning("taken_back", "this process accepts and orders again, in the dead one's place",
               {{"pid", int64_t{::getpid()}}, {"connections", connections_.load()}});
}

// Its visitors are ours.
void Control::serve_predecessor() {
  if (origin_.predecessor == nullptr) {
    for (const std::string& address : origin_.sockets.left()) {
      log_.warning("socket_unused",
                   "a socket that this process was given is for nothing that is configured; it is "
                   "closed: call it \"https\", \"http\" or \"admin\" (FileDescriptorName=), or "
                   "add its address to `listen`",
                   {{"address", address}});
    }
  } else {
    origin_.predecessor->accepting(admin_ != nullptr && admin_is_given_);
    for (const std::string& address : origin_.sockets.left()) {
      origin_.predecessor->closed(address);
    }
    origin_.predecessor->serve(loop_, ServerNameRules{.underscore = config_.on_demand.underscore},
                               [this](const ServerName& name, Slot slot, Predecessor::Done done) {
                                 plane_->certificates(slot).join(
                                     name, Lane::kHandshake,
                                     [done](const Result<CertificatePtr>& outcome) {
                                       done(outcome ? nullptr : &outcome.error());
                                     });
                               });
  }
  origin_.sockets = {};
}

}  // namespace latchkey::edge
