#include "bench/load/tls_connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "bench/load/failures.h"

namespace latchkey::bench {
namespace {

constexpr size_t kBuffer = 64 << 10;

}  // namespace

TlsShared::TlsShared(Engine& engine, const TlsClient& client, Span limit)
    : engine_(engine),
      client_(client),
      limit_(limit),
      timer_(engine, [this] { look_at_deadlines(); }),
      received_(kBuffer),
      plain_(kBuffer) {}

void TlsShared::look_at_deadlines() {
  const Time now = Engine::now();
  while (!deadlines_.alone()) {
    const auto& oldest = static_cast<TlsConnection::Deadline&>(deadlines_.next());
    if (oldest.at > now) return timer_.set(oldest.at);
    oldest.owner->fail(kTimeout);
  }
}

TlsConnection::TlsConnection(TlsShared& shared, Events& events)
    : shared_(shared), events_(events), bio_(BIO_new(bio_method())) {
  CHECK(bio_ != nullptr);
  BIO_set_data(bio_, this);
  BIO_set_init(bio_, 1);
  deadline_.owner = this;
}

TlsConnection::~TlsConnection() {
  reset();
  SSL_SESSION_free(session_);
  BIO_free(bio_);
}

const BIO_METHOD* TlsConnection::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(0, "latchkey-bench");
    CHECK(made != nullptr);
    BIO_meth_set_read(made, [](BIO* bio, char* into, int size) {
      BIO_clear_retry_flags(bio);
      std::string_view& received = static_cast<TlsConnection*>(BIO_get_data(bio))->received_;
      const size_t n = std::min(received.size(), static_cast<size_t>(size));
      if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
      }
      std::memcpy(into, received.data(), n);
      received.remove_prefix(n);
      return static_cast<int>(n);
    });
    BIO_meth_set_write(made, [](BIO* bio, const char* bytes, int size) {
      BIO_clear_retry_flags(bio);
      static_cast<TlsConnection*>(BIO_get_data(bio))->gather({bytes, static_cast<size_t>(size)});
      return size;
    });
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;  // each turn flushes by itself
    });
    return made;
  }();
  return method;
}

int TlsConnection::on_new_session(SSL* ssl, SSL_SESSION* session) {
  auto& self = *static_cast<TlsConnection*>(SSL_get_app_data(ssl));
  SSL_SESSION_free(self.session_);
  self.session_ = session;
  self.has_new_session_ = true;  // told when BoringSSL has returned: we may be closed then
  return 1;                      // it is ours now
}

void TlsConnection::on_ready(uint32_t events) {
  if (late_error_ != 0) return fail_by_errno(std::exchange(late_error_, 0));
  if (closed()) return;
  const uint32_t opened = opens_;
  in_turn_ = true;
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail_by_errno(error);
    } else if ((events & EPOLLOUT) != 0) {
      const bool plain = shared_.client_.settings().plain;
      state_ = plain ? State::kConnected : State::kTcpOpen;
      watch_writable(false);
      no_deadline();
      plain ? events_.on_connected(*this) : events_.on_tcp_open(*this);
    }
  } else {
    if ((events & EPOLLOUT) != 0) send_unsent();
    if (opens_ == opened && !closed() && (events & ~EPOLLOUT) != 0) receive();
  }
  in_turn_ = false;
  flush();
}

void TlsConnection::receive() {
  const ssize_t n = recv(fd_, shared_.received_.data(), shared_.received_.size(), 0);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) fail_by_errno(errno);
    return;
  }
  if (n == 0) return ended();
  in_ += static_cast<uint64_t>(n);
  if (state_ == State::kTcpOpen) return fail("bytes before the handshake began");
  if (shared_.client_.settings().plain) {
    if (connected()) events_.on_data(*this, {shared_.received_.data(), static_cast<size_t>(n)});
    return;
  }
  received_ = {shared_.received_.data(), static_cast<size_t>(n)};
  const uint32_t opened = opens_;
  if (state_ == State::kHandshake) shake_hands();
  const bool reads = state_ == State::kConnected ||
                     (state_ == State::kFinishing && shared_.client_.settings().tickets);
  if (opens_ == opened && reads) read_records();
  received_ = {};
}

void TlsConnection::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) return fail_by_tls(SSL_get_error(ssl_, result));
  state_ = State::kConnected;
  no_deadline();
  events_.on_connected(*this);
}

void TlsConnection::read_records() {
  const uint32_t opened = opens_;
  while (opens_ == opened && (state_ == State::kConnected || state_ == State::kFinishing)) {
    ERR_clear_error();
    const int n = SSL_read(ssl_, shared_.plain_.data(), static_cast<int>(shared_.plain_.size()));
    const int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, n);
    if (std::exchange(has_new_session_, false)) {
      events_.on_session(*this);
      if (opens_ != opened || closed()) return;
    }
    if (n <= 0) return fail_by_tls(why);
    if (state_ == State::kConnected) {
      events_.on_data(*this, {shared_.plain_.data(), static_cast<size_t>(n)});
    }
  }
}

void TlsConnection::send(std::string_view bytes) {
  CHECK(connected());
  if (shared_.client_.settings().plain) {
    gather(bytes);
    if (!in_turn_) flush();
    return;
  }
  ERR_clear_error();
  while (!bytes.empty()) {
    const int n =
        SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
    // The BIO takes everything, so that this is a programming error or no memory.
    CHECK(n > 0);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (!in_turn_) flush();
}

void TlsConnection::gather(std::string_view bytes) {
  if (shared_.gathers_ != this) {
    if (shared_.gathers_ != nullptr) shared_.gathers_->flush();
    shared_.gathers_ = this;
  }
  shared_.gathered_.append(bytes);
}

void TlsConnection::flush() {
  if (shared_.gathers_ != this) return;
  shared_.gathers_ = nullptr;
  if (unsent() != 0) {
    unsent_.append(shared_.gathered_);
  } else {
    std::string_view bytes = shared_.gathered_;
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
      // What the server said before it hung up may be there to be read, and says more.
      if (errno != EPIPE && errno != ECONNRESET) fail_later(errno);
      bytes = {};
    }
    if (n > 0) {
      out_ += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
      if (state_ == State::kHandshake) hello_ = Engine::now();
    }
    if (!bytes.empty()) {
      unsent_.assign(bytes);
      unsent_from_ = 0;
      watch_writable(true);
    }
  }
  shared_.gathered_.clear();
}

void TlsConnection::send_unsent() {
  if (unsent() == 0) return watch_writable(false);
  const ssize_t n = ::send(fd_, unsent_.data() + unsent_from_, unsent(), MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET) fail_later(errno);
    return;
  }
  if (state_ == State::kHandshake && out_ == 0) hello_ = Engine::now();
  out_ += static_cast<uint64_t>(n);
  unsent_from_ += static_cast<size_t>(n);
  if (unsent() != 0) return;
  unsent_ = {};
  unsent_from_ = 0;
  watch_writable(false);
  if (state_ == State::kConnected) events_.on_drained(*this);
}

void TlsConnection::watch_writable(bool writable) {
  if (watches_writable_ == writable) return;
  watches_writable_ = writable;
  shared_.engine_.rewatch(fd_, *this, writable ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void TlsConnection::set_deadline() {
  deadline_.at = Engine::now() + shared_.limit_;
  if (shared_.deadlines_.alone()) shared_.timer_.set(deadline_.at);
  shared_.deadlines_.push_back(deadline_);
}

void TlsConnection::no_deadline() {
  deadline_.unlink();
}

bool TlsConnection::finish() {
  using Ending = TlsSettings::Ending;
  const Ending ending = shared_.client_.settings().ending;
  if (!connected() || ending == Ending::kReset) return reset(), true;
  if (shared_.client_.settings().plain) {
    flush();
    shutdown(fd_, SHUT_WR);
  } else {
    SSL_shutdown(ssl_);
  }
  if (ending == Ending::kFin) {
    flush();
    drop(false);
    return true;
  }
  state_ = State::kFinishing;
  set_deadline();
  if (!in_turn_) flush();
  return false;
}

void TlsConnection::reset() {
  drop(true);
}

void TlsConnection::drop(bool with_reset) {
  if (closed()) return;
  state_ = State::kClosed;
  late_error_ = 0;
  deadline_.unlink();
  if (shared_.gathers_ == this) {
    shared_.gathers_ = nullptr;
    shared_.gathered_.clear();
  }
  shared_.engine_.forget(*this);
  if (fd_ >= 0) {
    if (with_reset) {
      // Leaves nothing in TIME_WAIT, neither here nor at a server that has hung up already.
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(std::exchange(fd_, -1));
  }
  watches_writable_ = false;
  unsent_ = {};
  unsent_from_ = 0;
  received_ = {};
  SSL_free(std::exchange(ssl_, nullptr));
}

void TlsConnection::ended() {
  if (state_ == State::kHandshake || state_ == State::kTcpOpen) return fail(kClosedEarly);
  fail(kEnded);
}

void TlsConnection::fail(std::string_view kind) {
  drop(true);
  events_.on_closed(*this, kind);
}

void TlsConnection::fail_by_errno(int error) {
  // Who hangs up on unread bytes resets: our close_notify, perhaps.
  if (state_ == State::kFinishing && error == ECONNRESET) return ended();
  fail(failure_by_errno(error));
}

void TlsConnection::fail_by_tls(int ssl_error) {
  if (ssl_error == SSL_ERROR_WANT_READ) return;
  if (ssl_error == SSL_ERROR_ZERO_RETURN) return ended();
  const std::string kind = failure_by_tls(ERR_peek_error());
  flush();  // our alert says why
  drop(false);
  events_.on_closed(*this, kind);
}

void TlsConnection::fail_later(int error) {
  late_error_ = error;
  shared_.engine_.call_later(*this);
}

bool TlsConnection::resumed() const {
  return ssl_ != nullptr && SSL_session_reused(ssl_);
}

std::string_view TlsConnection::alpn() const {
  if (ssl_ == nullptr) return {};
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace latchkey::bench
