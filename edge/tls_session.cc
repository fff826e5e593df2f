#include "edge/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "edge/socket_address.h"

namespace latchkey::edge {
namespace {

// Nobody has more to say before the handshake is done; who is parked may not fill our memory.
constexpr size_t kHandshakeRead = 4 << 10;

std::string last_ssl_error() {
  const uint32_t code = ERR_peek_error();
  if (code == 0) return "the connection was closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "TLS error";
}

}  // namespace

const bio_method_st* TlsSession::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "latchkey");
    CHECK(m != nullptr);
    BIO_meth_set_create(m, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    BIO_meth_set_read(m, [](BIO* bio, char* into, int size) {
      BIO_clear_retry_flags(bio);
      const int n = behind(bio).bio_read(into, size);
      if (n < 0) BIO_set_retry_read(bio);
      return n;
    });
    BIO_meth_set_write(m, [](BIO* bio, const char* bytes, int size) {
      BIO_clear_retry_flags(bio);
      return behind(bio).bio_write(bytes, size);
    });
    BIO_meth_set_ctrl(m, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return m;
  }();
  return method;
}

TlsSession& TlsSession::behind(bio_st* bio) {
  return static_cast<TlsSession&>(*static_cast<TlsPeer*>(BIO_get_data(bio)));
}

TlsSession::TlsSession(uv_loop_t& loop, int fd, const TlsContext& context, HelloHandler& greeter,
                       ReadAhead& ahead, SendGather& gather)
    : TlsPeer{greeter},
      fd_(fd),
      ahead_(ahead),
      gather_(gather),
      watch_(loop, fd, *this),
      ssl_(context.make_ssl()) {
  BIO* bio = BIO_new(bio_method());
  CHECK(bio != nullptr);
  BIO_set_data(bio, static_cast<TlsPeer*>(this));
  SSL_set_bio(ssl_, bio, bio);
}

TlsSession::~TlsSession() {
  gather_.flush_if_owned_by(*this);
  ahead_.forget(*this);
  SSL_free(ssl_);
  ::close(fd_);
}

std::string TlsSession::local_address() const {
  return edge::local_address(fd_);
}

template <typename Call>
TlsSession::Need TlsSession::ssl_call(Call call) {
  if (broken_) return Need::kBroken;
  const int rc = call();  // which empties the error queue first
  if (rc > 0) return Need::kNothing;
  switch (SSL_get_error(ssl_, rc)) {
    case SSL_ERROR_WANT_READ:
      return Need::kRead;
    case SSL_ERROR_WANT_WRITE:
      return Need::kWrite;
    case SSL_ERROR_PENDING_CERTIFICATE:
      return Need::kCertificate;
    case SSL_ERROR_ZERO_RETURN:
      return Need::kClosed;
    default:
      fail(last_ssl_error());
      return Need::kBroken;
  }
}

TlsSession::Step TlsSession::handshake() {
  switch (ssl_call([this] { return SSL_do_handshake(ssl_); })) {
    case Need::kNothing:
      handshaking_ = false;
      want(false, false);
      return Step::kDone;
    case Need::kRead:
      // Others' hellos in this turn may be many.
      gather_.flush_if_owned_by(*this);
      want(true, false);
      return Step::kWaiting;
    case Need::kWrite:
      want(false, true);
      return Step::kWaiting;
    case Need::kCertificate:
      want(false, false);
      return Step::kParked;
    case Need::kClosed:
    case Need::kBroken:
      break;
  }
  if (error().empty()) keep().error = "the connection was closed";
  return Step::kFailed;
}

void TlsSession::watch_hangup(bool watched) {
  watches_hangup_ = watched;
  update_watch();
}

void TlsSession::want(bool read, bool write) {
  want_read_ = read;
  want_write_ = write;
  come_again_if_hidden();
  update_watch();
}

// What lies in our buffers and inside BoringSSL, and what is broken, the descriptor does not show.
void TlsSession::come_again_if_hidden() {
  const bool readable = want_read_ && (broken_ || unread() > 0 || SSL_pending(ssl_) > 0);
  watch_.nudge(readable || (want_write_ && broken_));
}

Transport::Moved TlsSession::read(std::span<char> into) {
  int got = 0;
  const int size = static_cast<int>(std::min<size_t>(into.size(), 1 << 20));
  switch (ssl_call([&] { return got = SSL_read(ssl_, into.data(), size); })) {
    case Need::kNothing:
      come_again_if_hidden();
      return {Io::kDone, static_cast<size_t>(got)};
    case Need::kClosed:
      return {Io::kEnd, 0};
    case Need::kBroken:
      return {Io::kError, 0};
    case Need::kRead:
    case Need::kWrite:
    case Need::kCertificate:
      break;
  }
  return {Io::kAgain, 0};
}

Transport::Moved TlsSession::write(std::string_view bytes) {
  CHECK(!finishing_);
  size_t taken = 0;
  // Once SSL_write has begun with a record the BIO takes it whole, so that no record is ever to be
  // written again with other bytes; the bound is kept by not beginning.
  while (taken < bytes.size() && !has_unsent() && !broken_) {
    const std::string_view rest = bytes.substr(taken);
    const int size = static_cast<int>(std::min<size_t>(rest.size(), SSL3_RT_MAX_PLAIN_LENGTH));
    int wrote = 0;
    const Need need = ssl_call([&] { return wrote = SSL_write(ssl_, rest.data(), size); });
    if (need != Need::kNothing) break;
    taken += static_cast<size_t>(wrote);
  }
  if (broken_) return {Io::kError, 0};
  if (taken == 0) return {Io::kAgain, 0};
  return {Io::kDone, taken};
}

bool TlsSession::ask_turn_end() {
  if (turn_end_ == nullptr) turn_end_.reset(new Poller::Late(watch_.poller(), *this));
  turn_end_->ask();
  return true;
}

void TlsSession::finish_writing() {
  if (std::exchange(finishing_, true)) return;
  if (!broken_ && !handshaking_) ssl_call([this] { return SSL_shutdown(ssl_) >= 0 ? 1 : -1; });
  gather_.flush_if_owned_by(*this);
  after_send();
}

size_t TlsSession::unsent() const {
  if (broken_) return 0;
  const size_t kept = kept_ != nullptr ? kept_->unsent.size() - kept_->unsent_from : 0;
  return kept + gather_.gathered_for(*this);
}

TlsSession::Kept& TlsSession::keep() {
  if (kept_ == nullptr) kept_ = std::make_unique<Kept>();
  return *kept_;
}

void TlsSession::keep_no_longer() {
  if (!has_unsent() && !has_unread() && error().empty()) kept_.reset();
}

std::string_view TlsSession::unread(size_t limit) {
  if (!has_unread()) return ahead_.take(*this, limit);
  const auto out = std::string_view(kept_->unread).substr(kept_->unread_from, limit);
  kept_->unread_from += out.size();
  return out;
}

size_t TlsSession::unread() const {
  const size_t kept = kept_ != nullptr ? kept_->unread.size() - kept_->unread_from : 0;
  return kept + ahead_.left_for(*this);
}

void TlsSession::keep_read(std::string_view bytes) {
  keep().unread = bytes;
  kept_->unread_from = 0;
}

int TlsSession::bio_read(char* into, int size) {
  if (unread() == 0) {
    if (!watch_.readable()) return -1;
    char* const room = ahead_.room(*this);
    const size_t limit = handshaking_ ? kHandshakeRead : ReadAhead::kCapacity;
    ssize_t n;
    do {
      n = ::recv(fd_, room, limit, 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
      ahead_.forget(*this);
      if (n == 0) return 0;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        watch_.dry();
        return -1;
      }
      fail(std::strerror(errno));
      return 0;
    }
    ahead_.filled(static_cast<size_t>(n));
    if (static_cast<size_t>(n) < limit) watch_.short_read();
  }
  const std::string_view bytes = unread(static_cast<size_t>(size));
  std::memcpy(into, bytes.data(), bytes.size());
  const int read = static_cast<int>(bytes.size());
  if (has_unread() && kept_->unread_from == kept_->unread.size()) {
    std::string().swap(kept_->unread);  // who has read all keeps no buffer
    kept_->unread_from = 0;
    keep_no_longer();
  }
  return read;
}

int TlsSession::bio_write(const char* bytes, int size) {
  const std::string_view record(bytes, static_cast<size_t>(size));
  // Records keep their order: what the kernel did not take, then what is gathered, then this one.
  if (!has_unsent() || gather_.gathered_for(*this) > 0) {
    gather_.append(*this, record);
  } else {
    kept_->unsent += record;
  }
  return size;
}

void TlsSession::send_gathered(std::string_view bytes) {
  if (has_unsent()) {
    kept_->unsent += bytes;
    return;
  }
  const size_t sent = send_some(bytes);
  if (sent < bytes.size() && !broken_) {
    keep().unsent = bytes.substr(sent);
    kept_->unsent_from = 0;
    update_watch();
    return;
  }
  after_send();
}

// What the kernel takes; less than all: it will say when there is room again, or it is broken.
size_t TlsSession::send_some(std::string_view bytes) {
  ssize_t n;
  do {
    n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
    fail(std::strerror(errno));
    return 0;
  }
  const size_t sent = n < 0 ? 0 : static_cast<size_t>(n);
  if (sent < bytes.size()) watch_.full();
  return sent;
}

void TlsSession::send_unsent() {
  kept_->unsent_from += send_some(std::string_view(kept_->unsent).substr(kept_->unsent_from));
  if (broken_ || kept_->unsent_from < kept_->unsent.size()) return;
  std::string().swap(kept_->unsent);  // a connection that is not blocked keeps no buffer
  kept_->unsent_from = 0;
  keep_no_longer();
  after_send();
}

void TlsSession::after_send() {
  if (!finishing_ || unsent() > 0 || broken_ || std::exchange(finished_, true)) return;
  // Who has said goodbye himself waits for nothing more: the close that follows says the same.
  if ((SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) == 0) ::shutdown(fd_, SHUT_WR);
}

void TlsSession::fail(std::string why) {
  Kept& kept = keep();
  if (kept.error.empty()) kept.error = std::move(why);
  // An alert that BoringSSL has just written still goes out; then nothing does.
  gather_.flush_if_owned_by(*this);
  broken_ = true;
  kept.unsent.clear();
  kept.unsent_from = 0;
  come_again_if_hidden();
}

void TlsSession::update_watch() {
  uint8_t wanted = 0;
  if (!broken_) {
    if (want_read_) wanted |= SocketWatch::kReadable;
    if (want_write_ || has_unsent()) wanted |= SocketWatch::kWritable;
    if (watches_hangup_) wanted |= SocketWatch::kHungUp;
  }
  watch_.want(wanted);
}

void TlsSession::on_socket(uint8_t ready) {
  if (watches_hangup_ && (broken_ || (ready & SocketWatch::kHungUp) != 0)) {
    watches_hangup_ = false;
    update_watch();
    if (events_ != nullptr) events_->on_hangup();
    return;
  }
  const bool can_write = (ready & SocketWatch::kWritable) != 0;
  if (has_unsent() && can_write) {
    send_unsent();
    update_watch();
  }
  const bool hidden = unread() > 0 || SSL_pending(ssl_) > 0;
  deliver(want_read_ && (broken_ || hidden || (ready & SocketWatch::kReadable) != 0),
          want_write_ && !has_unsent() && (broken_ || can_write));
}

void TlsSession::on_late() {
  if (events_ != nullptr) events_->on_turn_end();
}

// One event a turn: it may destroy us, and the other one is still true at the next turn.
void TlsSession::deliver(bool readable, bool writable) {
  if (events_ == nullptr) return;
  if (writable) {
    if (readable) come_again_if_hidden();
    events_->on_writable();
  } else if (readable) {
    events_->on_readable();
  }
}

}  // namespace latchkey::edge
