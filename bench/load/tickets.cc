#include "bench/load/tickets.h"

#include <openssl/ssl.h>

#include <algorithm>

namespace latchkey::bench {
namespace {

constexpr uint64_t kAtATime = 16;
constexpr auto kPatience = std::chrono::milliseconds(100);  // before a server is asked

}  // namespace

class Tickets::Fetcher final : public TlsConnection::Events {
 public:
  explicit Fetcher(Tickets& tickets)
      : tickets_(tickets),
        connection_(tickets.lane_.tls, *this),
        timer_(tickets.lane_.engine, [this] { ask(); }) {}

  void next() {
    if (tickets_.next_ == tickets_.sessions_.size()) return;
    index_ = tickets_.next_++;
    name_ = tickets_.names_.at(index_);
    connection_.open(name_);
  }

 private:
  void on_connected(TlsConnection&) override {
    connection_.set_deadline();
    if (tickets_.asks_) return ask();
    timer_.set(Engine::now() + kPatience);
  }

  void ask() {
    tickets_.asks_ = true;
    if (!connection_.connected()) return;
    connection_.send("GET / HTTP/1.1\r\nHost: " + name_ + "\r\nConnection: close\r\n\r\n");
  }

  void on_session(TlsConnection&) override {
    timer_.clear();
    const bool first = tickets_.sessions_[index_] == nullptr;
    tickets_.keep(index_, connection_.session());
    if (!first) return;
    ++tickets_.fetched_;
    connection_.reset();
    next();
  }

  void on_closed(TlsConnection&, std::string_view failure) override {
    timer_.clear();
    const std::string why =
        failure == TlsConnection::kEnded ? "closed without one" : std::string(failure);
    tickets_.lane_.give_up("--resume: no ticket for \"" + name_ + "\" could be had from " +
                           tickets_.lane_.tls.client().target().text + ": " + why +
                           "; does the server give tickets, and serve that name?");
  }

  Tickets& tickets_;
  TlsConnection connection_;
  Engine::Timer timer_;
  uint64_t index_ = 0;
  std::string name_;
};

Tickets::Tickets(Lane& lane, Names names)
    : lane_(lane), names_(std::move(names)), sessions_(names_.size()) {}

Tickets::~Tickets() {
  for (SSL_SESSION* session : sessions_) SSL_SESSION_free(session);
}

void Tickets::fetch() {
  const uint64_t fetchers = std::min<uint64_t>(kAtATime, sessions_.size());
  for (uint64_t i = 0; i < fetchers; ++i) {
    fetchers_.push_back(std::make_unique<Fetcher>(*this));
    fetchers_.back()->next();
  }
}

void Tickets::keep(uint64_t name, SSL_SESSION* session) {
  SSL_SESSION_up_ref(session);
  SSL_SESSION_free(sessions_[name]);
  sessions_[name] = session;
}

}  // namespace latchkey::bench
