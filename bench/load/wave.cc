#include "bench/load/wave.h"

#include <string>
#include <utility>

namespace latchkey::bench {
namespace {

// Servers' queues of connections that are not accepted yet are short.
constexpr size_t kConnectAtATime = 64;

}  // namespace

// One client. What becomes of it before the moment counts from the moment on.
struct Wave::Member final : TlsConnection::Events {
  explicit Member(Wave& wave) : wave_(wave), connection_(wave.lane_.tls, *this) {}

  void on_tcp_open(TlsConnection&) override {
    connection_.make_hello(wave_.names_.next());
    prepared();
  }
  void on_connected(TlsConnection&) override {
    wave_.ended(*this, {});
    connection_.finish();
  }
  void on_closed(TlsConnection&, std::string_view failure) override {
    if (judged_) return;
    if (!sent_) {
      failed_early_ = failure;
      return prepared();
    }
    wave_.ended(*this, failure);
  }

  void prepared() {
    if (!std::exchange(prepared_, true)) wave_.member_prepared();
  }
  void send() {
    sent_ = true;
    if (connection_.tcp_open()) return connection_.send_hello();
    wave_.ended(*this, failed_early_);
  }

  Wave& wave_;
  TlsConnection connection_;
  bool prepared_ = false, sent_ = false, judged_ = false;
  std::string failed_early_{};
};

Wave::Wave(Lane& lane, Plan plan, Names names)
    : lane_(lane),
      plan_(std::move(plan)),
      names_(std::move(names)),
      rest_(lane.engine, [this] { send_some(); }) {
  members_.reserve(plan_.count);
  for (size_t i = 0; i < plan_.count; ++i) members_.push_back(std::make_unique<Member>(*this));
}

Wave::~Wave() = default;

void Wave::prepare() {
  for (size_t i = 0; i < kConnectAtATime; ++i) connect_next();
}

void Wave::connect_next() {
  if (next_ < members_.size()) members_[next_++]->connection_.open_tcp();
}

void Wave::member_prepared() {
  ++prepared_;
  connect_next();
}

void Wave::send() {
  began_ = Engine::now();
  send_some();
}

void Wave::send_some() {
  for (size_t i = 0; i < plan_.at_a_turn && sent_ < members_.size(); ++i) {
    members_[sent_++]->send();
  }
  if (sent_ < members_.size()) rest_.set(Engine::now());
}

void Wave::ended(Member& member, std::string_view failure) {
  member.judged_ = true;
  ++ended_;
  plan_.ended(Engine::now(), failure);
}

}  // namespace latchkey::bench
