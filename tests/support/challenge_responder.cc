#include "tests/support/challenge_responder.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "base/check.h"

namespace latchkey::test {
namespace {

constexpr std::string_view kPath = "/.well-known/acme-challenge/";
constexpr uint8_t kProtocol[] =
    "\x0a"
    "acme-tls/1";

int choose_certificate(SSL* ssl, void* argument) {
  auto& challenges = *static_cast<acme::ChallengeTable*>(argument);
  const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto name = ServerName::parse(sni == nullptr ? "" : sni);
  if (!name) return 0;
  const CertificatePtr certificate = challenges.find_tls_alpn(*name);
  if (certificate == nullptr) return 0;
  const auto& chain = certificate->chain();
  return SSL_set_chain_and_key(ssl, chain.data(), chain.size(), certificate->key().get(), nullptr);
}

int choose_protocol(SSL*, const uint8_t** out, uint8_t* size, const uint8_t* in, unsigned in_size,
                    void*) {
  const unsigned ours = sizeof(kProtocol) - 1;
  if (in_size != ours || std::memcmp(in, kProtocol, ours) != 0) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = in + 1;
  *size = static_cast<uint8_t>(ours - 1);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

ChallengeResponder::ChallengeResponder(acme::ChallengeTable& challenges)
    : challenges_(challenges),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free),
      http_([this](const Request& request) { return answer_http(request); }) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(listener_.get(), generic, size) == 0 && listen(listener_.get(), 256) == 0);
  CHECK(getsockname(listener_.get(), generic, &size) == 0);
  tls_port_ = ntohs(address.sin_port);
  SSL_CTX_set_cert_cb(context_.get(), choose_certificate, &challenges_);
  SSL_CTX_set_alpn_select_cb(context_.get(), choose_protocol, nullptr);
  tls_ = std::thread([this] { serve_tls(); });
}

ChallengeResponder::~ChallengeResponder() {
  stopping_ = true;
  shutdown(listener_.get(), SHUT_RDWR);  // ends the accept
  tls_.join();
}

void ChallengeResponder::serve_tls() {
  while (!stopping_) {
    const Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection || tls_broken) continue;
    const timeval limit{5, 0};
    setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    const bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), connection.get());
    if (SSL_accept(ssl.get()) == 1) SSL_shutdown(ssl.get());
  }
}

Response ChallengeResponder::answer_http(const Request& request) {
  Response response;
  response.status = 404;
  const std::string host = request.header("host");
  const std::string bare = host.substr(0, host.find(':'));
  const auto address = ServerName::parse_ip(bare);
  const auto name = address ? address : ServerName::parse(bare);
  if (http_broken || !name || !request.path.starts_with(kPath)) return response;
  auto answer = challenges_.find_http(*name, std::string_view(request.path).substr(kPath.size()));
  if (!answer) return response;
  response.status = 200;
  response.body = *std::move(answer);
  return response;
}

}  // namespace latchkey::test
