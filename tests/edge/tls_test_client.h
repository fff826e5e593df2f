#pragma once
// The client's side of a TLS connection over memory, so that a test decides which bytes travel
// when.

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

namespace latchkey::edge {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* ctx) const { SSL_CTX_free(ctx); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

class TlsTestClient {
 public:
  TlsTestClient(int fd, const std::string& name)
      : fd_(fd), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
      static_cast<TlsTestClient*>(SSL_get_ex_data(ssl, index()))->session_.reset(session);
      return 1;
    });
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_connect_state(ssl_.get());
    if (!name.empty()) SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_info_callback(ssl_.get(), [](const SSL* ssl, int where, int value) {
      if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) {
        static_cast<TlsTestClient*>(SSL_get_ex_data(ssl, index()))->alert = value & 0xff;
      }
    });
    SSL_set_ex_data(ssl_.get(), index(), this);
  }
  ~TlsTestClient() { ::close(fd_); }

  // Offers brotli for certificates (RFC 8879); counts those that came so. Before the first step().
  void take_compressed() {
    SSL_CTX_add_cert_compression_alg(
        context_.get(), TLSEXT_cert_compression_brotli, nullptr,
        [](SSL* ssl, CRYPTO_BUFFER** out, size_t size, const uint8_t* in, size_t in_size) {
          ++static_cast<TlsTestClient*>(SSL_get_ex_data(ssl, index()))->compressed;
          uint8_t* data = nullptr;
          *out = CRYPTO_BUFFER_alloc(&data, size);
          size_t got = size;
          const auto result = BrotliDecoderDecompress(in_size, in, &got, data);
          return result == BROTLI_DECODER_RESULT_SUCCESS && got == size ? 1 : 0;
        });
  }

  static int index() {
    static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return made;
  }

  SSL* ssl() { return ssl_.get(); }
  // The newest ticket; null: none came.
  SSL_SESSION* session() { return session_.get(); }

  // Takes what came, goes on; what it has to say comes back.
  std::string step() {
    std::array<char, 32768> buffer;
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n <= 0) {
        closed = n == 0 || (errno != EAGAIN);
        break;
      }
      BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(n));
    }
    ERR_clear_error();
    done = SSL_do_handshake(ssl_.get()) == 1;
    if (done) SSL_read(ssl_.get(), buffer.data(), 1);  // takes tickets
    return outgoing();
  }
  // Takes what came and decrypts it. Sets `ended` at a close_notify, `broken` at a bad record.
  std::string read() {
    std::array<char, 32768> buffer;
    std::string out;
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(n));
    for (;;) {
      ERR_clear_error();
      const int got = SSL_read(ssl_.get(), buffer.data(), buffer.size());
      if (got > 0) {
        out.append(buffer.data(), static_cast<size_t>(got));
        continue;
      }
      const int why = SSL_get_error(ssl_.get(), got);
      ended = ended || why == SSL_ERROR_ZERO_RETURN;
      broken = broken || why == SSL_ERROR_SSL;
      return out;
    }
  }
  // Encrypted; for send().
  std::string record(std::string_view bytes) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    return outgoing();
  }
  std::string farewell() {
    SSL_shutdown(ssl_.get());
    return outgoing();
  }
  void send(std::string_view bytes) const {
    ASSERT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  bool done = false;
  bool closed = false;
  bool ended = false;
  bool broken = false;
  int alert = 0;
  int compressed = 0;  // certificate messages

 private:
  std::string outgoing() {
    std::array<char, 32768> buffer;
    const int n = BIO_read(SSL_get_wbio(ssl_.get()), buffer.data(), buffer.size());
    return n > 0 ? std::string(buffer.data(), static_cast<size_t>(n)) : "";
  }

  const int fd_;
  std::unique_ptr<SSL_CTX, SslFree> context_;
  std::unique_ptr<SSL, SslFree> ssl_;
  std::unique_ptr<SSL_SESSION, SslFree> session_;
};

}  // namespace latchkey::edge
