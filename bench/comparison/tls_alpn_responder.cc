#include "bench/comparison/tls_alpn_responder.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/check.h"
#include "cache/certificate.h"

namespace latchkey::bench {
namespace {

constexpr char kProtocol[] =
    "\x0a"
    "acme-tls/1";

ssl_select_cert_result_t choose(const SSL_CLIENT_HELLO* hello) {
  auto* challenges =
      static_cast<acme::ChallengeTable*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(hello->ssl), 0));
  const char* sni = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
  const auto name = ServerName::parse(sni == nullptr ? "" : sni);
  const CertificatePtr certificate = name ? challenges->find_tls_alpn(*name) : nullptr;
  if (!certificate) return ssl_select_cert_error;
  const auto& chain = certificate->chain();
  const bool set = SSL_set_chain_and_key(hello->ssl, chain.data(), chain.size(),
                                         certificate->key().get(), nullptr) == 1;
  return set ? ssl_select_cert_success : ssl_select_cert_error;
}

}  // namespace

TlsAlpnResponder::TlsAlpnResponder(acme::ChallengeTable& challenges, uint16_t port)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      context_(SSL_CTX_new(TLS_method()), SSL_CTX_free) {
  SSL_CTX_set_ex_data(context_.get(), 0, &challenges);
  SSL_CTX_set_select_certificate_cb(context_.get(), choose);
  SSL_CTX_set_alpn_select_cb(
      context_.get(),
      [](SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t*, unsigned, void*) {
        *out = reinterpret_cast<const uint8_t*>(kProtocol) + 1;
        *out_size = sizeof kProtocol - 2;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  const int on = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(listen(listener_.get(), 100) == 0);
  thread_ = std::thread([this] { run(); });
}

TlsAlpnResponder::~TlsAlpnResponder() {
  stopping_ = true;
  shutdown(listener_.get(), SHUT_RDWR);  // wakes accept()
  thread_.join();
}

void TlsAlpnResponder::run() {
  while (!stopping_) {
    const test::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) answer(fd.get());
  }
}

void TlsAlpnResponder::answer(int fd) {
  const timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
  SSL_set_fd(ssl.get(), fd);
  if (SSL_accept(ssl.get()) == 1) SSL_shutdown(ssl.get());
}

}  // namespace latchkey::bench
