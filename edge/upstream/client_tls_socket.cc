#include "edge/upstream/client_tls_socket.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace latchkey::edge {

const bio_method_st* ClientTlsSocket::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "upstream");
    CHECK(m != nullptr);
    BIO_meth_set_create(m, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    BIO_meth_set_read(m, [](BIO* bio, char* into, int size) {
      BIO_clear_retry_flags(bio);
      const int n = static_cast<ClientTlsSocket*>(BIO_get_data(bio))->bio_read(into, size);
      if (n < 0) BIO_set_retry_read(bio);
      return n;
    });
    BIO_meth_set_write(m, [](BIO* bio, const char* bytes, int size) {
      BIO_clear_retry_flags(bio);
      return static_cast<ClientTlsSocket*>(BIO_get_data(bio))->bio_write(bytes, size);
    });
    BIO_meth_set_ctrl(m, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return m;
  }();
  return method;
}

ClientTlsSocket::ClientTlsSocket(std::unique_ptr<Transport> under, Clock& clock, ssl_st& ssl)
    : clock_(clock), under_(std::move(under)), ssl_(&ssl) {
  BIO* bio = BIO_new(bio_method());
  CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  under_->set_events(this);
}

ClientTlsSocket::~ClientTlsSocket() {
  under_->set_events(nullptr);
  SSL_free(ssl_);
}

void ClientTlsSocket::handshake(std::function<void(std::string why)> done) {
  done_ = std::move(done);
  // The first flight leaves from the loop, as everything else does.
  under_->want(true, true);
}

bool ClientTlsSocket::speaks_http2() const {
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

void ClientTlsSocket::step() {
  ERR_clear_error();
  const int rc = SSL_do_handshake(ssl_);
  const int error = SSL_get_error(ssl_, rc);
  if (rc != 1 && !broken_ && error == SSL_ERROR_WANT_READ) return update_interest();
  if (rc != 1 && !broken_) fail("TLS: " + ssl_trouble());
  update_interest();
  const auto done = std::exchange(done_, nullptr);
  done(rc == 1 ? std::string() : error_);
}

std::string ClientTlsSocket::ssl_trouble() const {
  const long verdict = SSL_get_verify_result(ssl_);
  if (verdict != X509_V_OK && verdict != X509_V_ERR_INVALID_CALL) {
    return std::string("its certificate is not accepted: ") +
           X509_verify_cert_error_string(verdict);
  }
  const uint32_t code = ERR_peek_error();
  if (code == 0) return "the connection was closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "TLS error";
}

void ClientTlsSocket::want(bool read, bool write) {
  want_read_ = read;
  want_write_ = write;
  come_again_if_hidden();
  update_interest();
}

void ClientTlsSocket::update_interest() {
  if (broken_) return under_->want(false, false);
  const bool read = done_ != nullptr || want_read_;
  under_->want(read && !ended_, want_write_ || !unsent_.empty());
}

// What lies inside BoringSSL, and what is broken or has ended, the transport below does not show.
void ClientTlsSocket::come_again_if_hidden() {
  const bool hidden =
      (want_read_ && (broken_ || ended_ || SSL_pending(ssl_) > 0)) || (want_write_ && broken_);
  if (!hidden || again_ != nullptr || done_ != nullptr) return;
  again_ = clock_.after(Millis(0), [this] {
    again_.reset();
    if (events_ == nullptr) return;
    if (want_read_) {
      events_->on_readable();
    } else if (want_write_) {
      events_->on_writable();
    }
  });
}

void ClientTlsSocket::on_readable() {
  if (done_ != nullptr) return step();
  if (want_read_ && events_ != nullptr) events_->on_readable();
}

void ClientTlsSocket::on_writable() {
  send_unsent();
  if (!unsent_.empty()) return;
  if (done_ != nullptr) return step();
  update_interest();
  if (want_write_ && events_ != nullptr) events_->on_writable();
}

void ClientTlsSocket::on_turn_end() {
  if (events_ != nullptr) events_->on_turn_end();
}

Transport::Moved ClientTlsSocket::read(std::span<char> into) {
  if (broken_) return {Io::kError, 0};
  ERR_clear_error();
  const int size = static_cast<int>(std::min<size_t>(into.size(), 1 << 20));
  const int got = SSL_read(ssl_, into.data(), size);
  if (got > 0) {
    come_again_if_hidden();
    return {Io::kDone, static_cast<size_t>(got)};
  }
  switch (SSL_get_error(ssl_, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {Io::kAgain, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Io::kEnd, 0};
    default:
      // Without close_notify it may have been cut: no end that can be relied on.
      if (!broken_) fail("TLS: " + ssl_trouble());
      return {Io::kError, 0};
  }
}

Transport::Moved ClientTlsSocket::write(std::string_view bytes) {
  size_t taken = 0;
  // A record that was begun is kept whole in unsent_, so that none is ever written twice; the bound
  // is kept by not beginning.
  while (taken < bytes.size() && unsent_.empty() && !broken_) {
    const std::string_view rest = bytes.substr(taken);
    const int size = static_cast<int>(std::min<size_t>(rest.size(), SSL3_RT_MAX_PLAIN_LENGTH));
    ERR_clear_error();
    const int wrote = SSL_write(ssl_, rest.data(), size);
    if (wrote <= 0) {
      const int error = SSL_get_error(ssl_, wrote);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE && !broken_) {
        fail("TLS: " + ssl_trouble());
      }
      break;
    }
    taken += static_cast<size_t>(wrote);
  }
  if (broken_) return {Io::kError, 0};
  if (!unsent_.empty()) update_interest();
  if (taken == 0) return {Io::kAgain, 0};
  return {Io::kDone, taken};
}

void ClientTlsSocket::finish_writing() {
  if (std::exchange(finishing_, true)) return;
  if (!broken_ && done_ == nullptr) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
  }
  if (unsent_.empty()) under_->finish_writing();
  update_interest();
}

size_t ClientTlsSocket::unsent() const {
  return broken_ ? 0 : unsent_.size();
}

int ClientTlsSocket::bio_read(char* into, int size) {
  const Moved moved = under_->read({into, static_cast<size_t>(size)});
  switch (moved.io) {
    case Io::kDone:
      return static_cast<int>(moved.bytes);
    case Io::kAgain:
      return -1;
    case Io::kEnd:
      ended_ = true;
      return 0;
    case Io::kError:
      break;
  }
  fail(under_->error());
  return 0;
}

int ClientTlsSocket::bio_write(const char* bytes, int size) {
  std::string_view record(bytes, static_cast<size_t>(size));
  while (unsent_.empty() && !record.empty()) {
    const Moved moved = under_->write(record);
    if (moved.io == Io::kError) {
      fail(under_->error());
      return size;
    }
    if (moved.io != Io::kDone) break;
    record.remove_prefix(moved.bytes);
  }
  unsent_ += record;
  return size;
}

void ClientTlsSocket::send_unsent() {
  while (!unsent_.empty() && !broken_) {
    const Moved moved = under_->write(unsent_);
    if (moved.io == Io::kAgain) return;
    if (moved.io != Io::kDone) return fail(under_->error());
    unsent_.erase(0, moved.bytes);
  }
  if (!unsent_.empty()) return;
  std::string().swap(unsent_);
  if (finishing_) under_->finish_writing();
}

void ClientTlsSocket::fail(const std::string& why) {
  if (error_.empty()) error_ = why;
  broken_ = true;
  unsent_.clear();
  come_again_if_hidden();
}

}  // namespace latchkey::edge
