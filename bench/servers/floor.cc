// latchkey-bench-floor: the least that a TLS server must do that chooses its certificate for each
// connection. It accepts, shakes hands with the edge's settings (edge/tls_context.cc), and answers
// whatever ends with an empty line with the same bytes. What a proxy adds to this is its own.
#include <openssl/bio.h>
#include <openssl/cipher.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/file.h"
#include "bench/servers/epoll_server.h"
#include "bench/servers/flags.h"
#include "cache/certificate.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr size_t kMaxFile = 1 << 20;
constexpr size_t kMaxRecord = SSL3_RT_MAX_PLAIN_LENGTH;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

struct TicketKey {
  std::array<uint8_t, 16> name;
  std::array<uint8_t, 32> cipher;
  std::array<uint8_t, 32> mac;
};

// What all connections share. One thread, so the buffers of the current event are here, too: a
// connection that waits owns none.
struct Shared {
  bssl::UniquePtr<SSL_CTX> context;
  CertificatePtr certificate;
  TicketKey ticket_key;
  std::array<uint8_t, 32> session_binding{};  // the edge's is a digest of the name
  std::string answer;
  bool close = false;

  std::array<char, 64 << 10> input;
  std::array<char, 16 << 10> plain;
  std::array<char, 80 << 10> output;  // four full records and a little one
  size_t output_size = 0;
};

Shared& shared_of(const SSL* ssl) {
  return *static_cast<Shared*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO* hello) {
  const Shared& shared = shared_of(hello->ssl);
  const auto& chain = shared.certificate->chain();
  const bool good = SSL_set_session_id_context(hello->ssl, shared.session_binding.data(),
                                               shared.session_binding.size()) == 1 &&
                    SSL_set_chain_and_key(hello->ssl, chain.data(), chain.size(),
                                          shared.certificate->key().get(), nullptr) == 1;
  return good ? ssl_select_cert_success : ssl_select_cert_error;
}

int on_alpn(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned in_size,
            void*) {
  static constexpr uint8_t kHttp1[] = "\x08http/1.1";
  uint8_t* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp1, sizeof kHttp1 - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int on_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* mac,
              int sealing) {
  const TicketKey& key = shared_of(ssl).ticket_key;
  if (sealing != 0) {
    std::copy(key.name.begin(), key.name.end(), name);
    RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc()));
  } else if (!std::equal(key.name.begin(), key.name.end(), name)) {
    return 0;
  }
  const bool ready =
      EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, sealing) != 0 &&
      HMAC_Init_ex(mac, key.mac.data(), key.mac.size(), EVP_sha256(), nullptr) != 0;
  return ready ? 1 : -1;
}

bssl::UniquePtr<SSL_CTX> make_context(Shared& shared) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  CHECK(context != nullptr);
  SSL_CTX* const raw = context.get();
  CHECK(SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION));
  CHECK(SSL_CTX_set_strict_cipher_list(raw, "ECDHE-ECDSA-AES128-GCM-SHA256"));
  CHECK(SSL_CTX_set1_curves_list(raw, "X25519:P-256:P-384"));
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_app_data(raw, &shared);
  SSL_CTX_set_select_certificate_cb(raw, on_hello);
  SSL_CTX_set_tlsext_servername_callback(
      raw, +[](SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; });
  SSL_CTX_set_alpn_select_cb(raw, on_alpn, nullptr);
  CHECK(SSL_CTX_set_tlsext_ticket_key_cb(raw, on_ticket));
  return context;
}

class FloorConnection final : public ServedConnection {
 public:
  FloorConnection(int fd, Shared& shared)
      : ServedConnection(fd), shared_(shared), ssl_(SSL_new(shared.context.get())) {
    CHECK(ssl_ != nullptr);
    SSL_set_accept_state(ssl_.get());
    SSL_set_shed_handshake_config(ssl_.get(), 1);
    BIO* const bio = BIO_new(bio_method());
    CHECK(bio != nullptr);
    BIO_set_data(bio, this);
    SSL_set_bio(ssl_.get(), bio, bio);
  }

  Next on_event(uint32_t events) override {
    more_input_ = true;
    until_end_ = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    input_ = {};
    send_unsent();
    const bool open = shake_hands() && read_requests() && write_answers();
    flush();
    if (broken_ || (unsent_.empty() && (!open || finished_))) return Next::kEnd;
    if (!open) finished_ = true;
    return unsent_.empty() ? Next::kRead : Next::kWrite;
  }

 private:
  static const BIO_METHOD* bio_method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
      CHECK(m != nullptr);
      BIO_meth_set_create(m, [](BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
      });
      BIO_meth_set_read(m, [](BIO* bio, char* into, int size) {
        BIO_clear_retry_flags(bio);
        const int n = static_cast<FloorConnection*>(BIO_get_data(bio))->bio_read(into, size);
        if (n < 0) BIO_set_retry_read(bio);
        return n;
      });
      BIO_meth_set_write(m, [](BIO* bio, const char* bytes, int size) {
        BIO_clear_retry_flags(bio);
        static_cast<FloorConnection*>(BIO_get_data(bio))
            ->bio_write(std::string_view(bytes, static_cast<size_t>(size)));
        return size;
      });
      BIO_meth_set_ctrl(m, [](BIO*, int command, long, void*) -> long {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
      });
      return m;
    }();
    return method;
  }

  // One recv brings what BoringSSL asks for in many small reads.
  int bio_read(char* into, int size) {
    if (input_.empty() && !receive()) return broken_ || ended_ ? 0 : -1;
    const size_t n = std::min(input_.size(), static_cast<size_t>(size));
    std::memcpy(into, input_.data(), n);
    input_.remove_prefix(n);
    return static_cast<int>(n);
  }

  bool receive() {
    while (more_input_) {
      const ssize_t n = ::recv(fd(), shared_.input.data(), shared_.input.size(), 0);
      if (n > 0) {
        input_ = std::string_view(shared_.input.data(), static_cast<size_t>(n));
        // What comes later is another event; an end that came has none of its own.
        more_input_ = until_end_ || input_.size() == shared_.input.size();
        return true;
      }
      if (n < 0 && errno == EINTR) continue;
      more_input_ = false;
      ended_ = n == 0;
      broken_ = n < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
    }
    return false;
  }

  void bio_write(std::string_view record) {
    if (shared_.output_size + record.size() > shared_.output.size()) flush();
    if (unsent_.empty() && shared_.output_size == 0 && only_record_) {
      send(record);  // nothing follows: no need to gather
      return;
    }
    if (record.size() > shared_.output.size()) {
      send(record);
      return;
    }
    std::memcpy(shared_.output.data() + shared_.output_size, record.data(), record.size());
    shared_.output_size += record.size();
  }

  void flush() {
    const std::string_view gathered(shared_.output.data(), shared_.output_size);
    shared_.output_size = 0;
    if (!gathered.empty()) send(gathered);
  }

  void send(std::string_view bytes) {
    if (broken_) return;
    if (unsent_.empty()) {
      const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) broken_ = true;
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    unsent_.append(bytes);
  }

  void send_unsent() {
    if (unsent_.empty()) return;
    const std::string waiting = std::exchange(unsent_, {});
    send(waiting);
  }

  bool shake_hands() {
    if (established_) return true;
    const int rc = SSL_do_handshake(ssl_.get());
    if (rc > 0) {
      established_ = true;
      return true;
    }
    return waits(rc);
  }

  // Else the connection is at its end.
  bool waits(int rc) {
    const int why = SSL_get_error(ssl_.get(), rc);
    if (why == SSL_ERROR_WANT_READ) return true;
    // Answered, as the edge does; the tickets that no answer has taken along go with it.
    if (why == SSL_ERROR_ZERO_RETURN) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    return false;
  }

  bool read_requests() {
    while (established_ && (!input_.empty() || more_input_)) {
      char* const plain = shared_.plain.data();
      const int n = SSL_read(ssl_.get(), plain, static_cast<int>(shared_.plain.size()));
      if (n <= 0) return waits(n);
      count_requests(std::string_view(plain, static_cast<size_t>(n)));
    }
    return true;
  }

  void count_requests(std::string_view bytes) {
    std::string joined;
    if (!tail_.empty()) {
      joined = tail_.append(bytes);
      bytes = joined;
    }
    for (size_t end; (end = bytes.find(kHeadEnd)) != std::string_view::npos;) {
      ++due_;
      bytes.remove_prefix(end + kHeadEnd.size());
    }
    // An end of a head may come in parts.
    tail_ = bytes.substr(bytes.size() - std::min<size_t>(bytes.size(), kHeadEnd.size() - 1));
  }

  bool write_answers() {
    while (due_ > 0 && unsent_.empty() && !broken_) {
      const std::string_view rest = std::string_view(shared_.answer).substr(written_);
      const size_t size = std::min(rest.size(), kMaxRecord);
      only_record_ = size == rest.size() && due_ == 1 && !shared_.close;
      const int n = SSL_write(ssl_.get(), rest.data(), static_cast<int>(size));
      only_record_ = false;
      if (n <= 0) return waits(n);
      written_ += static_cast<size_t>(n);
      if (written_ < shared_.answer.size()) continue;
      written_ = 0;
      --due_;
      if (!shared_.close) continue;
      SSL_shutdown(ssl_.get());
      return false;
    }
    return true;
  }

  Shared& shared_;
  const bssl::UniquePtr<SSL> ssl_;
  std::string_view input_;  // within this event
  std::string unsent_;      // what the kernel did not take
  std::string tail_;        // of what was read, when it ended within a head
  size_t due_ = 0;          // answers
  size_t written_ = 0;      // of the current one
  bool established_ = false;
  bool more_input_ = false;
  bool until_end_ = false;
  bool only_record_ = false;
  bool ended_ = false;
  bool broken_ = false;
  bool finished_ = false;  // nothing follows what is unsent
};

Result<CertificatePtr> read_certificate(const Flags& flags) {
  const auto chain = read_file(flags.value("--cert"), kMaxFile);
  if (!chain) return chain.error();
  const auto pem = read_file(flags.value("--key"), kMaxFile);
  if (!pem) return pem.error();
  const auto key = private_key_from_pem(*pem);
  if (!key) return Error(key.error()).in(flags.value("--key"));
  auto certificate = Certificate::from_pem(*chain, *key);
  if (!certificate) return Error(certificate.error()).in(flags.value("--cert"));
  return certificate;
}

std::string make_answer(size_t size, bool close) {
  std::string out =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(size) +
      (close ? "\r\nConnection: close" : "") + "\r\n\r\n";
  for (size_t i = 0; i < size; ++i) out += static_cast<char>('a' + i % 26);
  return out;
}

Result<> run(int argc, const char* const* argv) {
  const auto flags = Flags::parse(
      argc, argv, {.required = {"--listen", "--cert", "--key", "--body"}, .switches = {"--close"}});
  if (!flags) return flags.error();
  const auto body = flags->number("--body", kMaxBody);
  if (!body) return body.error();
  auto certificate = read_certificate(*flags);
  if (!certificate) return certificate.error();

  Shared shared;
  shared.certificate = *certificate;
  shared.close = flags->has("--close");
  shared.answer = make_answer(*body, shared.close);
  RAND_bytes(reinterpret_cast<uint8_t*>(&shared.ticket_key), sizeof shared.ticket_key);
  shared.context = make_context(shared);
  return serve(flags->value("--listen"),
               [&shared](int fd) { return std::make_unique<FloorConnection>(fd, shared); });
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const auto ran = latchkey::bench::run(argc, argv);
  if (ran) return 0;
  std::fprintf(stderr, "latchkey-bench-floor: %s\n", ran.error().message.c_str());
  return ran.error().code == latchkey::ErrorCode::kIo ? 1 : 2;
}
