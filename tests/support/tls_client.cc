#include "tests/support/tls_client.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <iterator>

#include "base/check.h"
#include "base/text.h"
#include "tests/support/eventually.h"

namespace latchkey::test {
namespace tls_internal {
namespace {

// BoringSSL reports a received fatal alert n as reason 1000 + n.
constexpr int kAlertOffset = 1000;

// Where a connection's newest session is kept.
int session_index() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* session, CRYPTO_EX_DATA*, int, long, void*) {  // NOLINT(google-runtime-int)
        SSL_SESSION_free(static_cast<SSL_SESSION*>(session));
      });
  return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  SSL_SESSION_free(static_cast<SSL_SESSION*>(SSL_get_ex_data(ssl, session_index())));
  SSL_set_ex_data(ssl, session_index(), session);
  return 1;
}

std::string serial_of(const X509* certificate) {
  const bssl::UniquePtr<BIGNUM> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  const bssl::UniquePtr<char> hex(BN_bn2hex(number.get()));
  return lower(hex.get());
}

std::chrono::seconds left_of(const X509* certificate) {
  int days = 0, seconds = 0;
  CHECK(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) == 1);
  return std::chrono::hours(24 * days) + std::chrono::seconds(seconds);
}

std::string der_of(EVP_PKEY* public_key) {
  uint8_t* bytes = nullptr;
  const int length = i2d_PUBKEY(public_key, &bytes);
  if (length <= 0) return "";
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace

SSL_SESSION* newest_session(const SSL* ssl) {
  return static_cast<SSL_SESSION*>(SSL_get_ex_data(ssl, session_index()));
}

std::shared_ptr<SSL_CTX> make_context(const std::string& roots) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  CHECK(context);
  const bssl::UniquePtr<BIO> pem(BIO_new_mem_buf(roots.data(), static_cast<int>(roots.size())));
  for (;;) {
    const bssl::UniquePtr<X509> root(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
    if (!root) break;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get());
  }
  ERR_clear_error();
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  return context;
}

std::shared_ptr<SSL> make_connection(SSL_CTX* context, int fd, const TlsOptions& options) {
  std::shared_ptr<SSL> ssl(SSL_new(context), SSL_free);
  CHECK(ssl);
  SSL_set_connect_state(ssl.get());
  SSL_set_fd(ssl.get(), fd);
  if (!options.sni.empty()) CHECK(SSL_set_tlsext_host_name(ssl.get(), options.sni.c_str()) == 1);
  const std::string& name = options.name.empty() ? options.sni : options.name;
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
  in6_addr address{};
  if (inet_pton(AF_INET, name.c_str(), &address) == 1 ||
      inet_pton(AF_INET6, name.c_str(), &address) == 1) {
    CHECK(X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) == 1);
  } else if (!name.empty()) {
    CHECK(X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size()) == 1);
  }
  std::string alpn;
  for (const auto& protocol : options.alpn) {
    alpn.append(1, static_cast<char>(protocol.size())).append(protocol);
  }
  if (!alpn.empty()) {
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(alpn.data()), alpn.size());
  }
  if (options.session) SSL_set_session(ssl.get(), options.session.get());
  if (options.own != nullptr) {
    const auto& chain = options.own->chain();
    CHECK(SSL_set_chain_and_key(ssl.get(), chain.data(), chain.size(), options.own->key().get(),
                                nullptr) == 1);
  }
  if (options.want_staple) SSL_enable_ocsp_stapling(ssl.get());
  if (options.only_rsa) {
    const uint16_t algorithms[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256};
    CHECK(SSL_set_verify_algorithm_prefs(ssl.get(), algorithms, std::size(algorithms)) == 1);
  }
  if (options.only_tls12) SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
  return ssl;
}

std::optional<Handshake> judge(SSL* ssl, int result) {
  Handshake handshake;
  const int why = SSL_get_error(ssl, result);
  if (result == 1) {
    handshake.done = true;
    handshake.resumed = SSL_session_reused(ssl) == 1;
    handshake.verified = SSL_get_verify_result(ssl) == X509_V_OK;
    const bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(ssl));
    if (leaf) {
      handshake.serial = serial_of(leaf.get());
      handshake.left = left_of(leaf.get());
      const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(leaf.get()));
      handshake.public_key = der_of(key.get());
      handshake.rsa = key != nullptr && EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
    }
    const uint8_t* staple = nullptr;
    size_t staple_size = 0;
    SSL_get0_ocsp_response(ssl, &staple, &staple_size);
    handshake.staple.assign(reinterpret_cast<const char*>(staple), staple_size);
    const uint8_t* protocol = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &length);
    handshake.alpn.assign(reinterpret_cast<const char*>(protocol), length);
    return handshake;
  }
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return std::nullopt;
  const uint32_t error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= kAlertOffset) {
    handshake.alert = ERR_GET_REASON(error) - kAlertOffset;
  }
  char text[256];
  ERR_error_string_n(error, text, sizeof text);
  handshake.error = error != 0 ? text : "the connection was cut off";
  ERR_clear_error();
  return handshake;
}

}  // namespace tls_internal

TlsClient::TlsClient(const TlsOptions& options)
    : fd_(connect_to(options.port, options.limit)),
      context_(tls_internal::make_context(options.roots)) {
  if (!fd_) {
    handshake_.error = "connection refused";
    return;
  }
  const Stopwatch time;
  const std::string& before = options.before;
  if (::send(fd_.get(), before.data(), before.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(before.size())) {
    handshake_.error = "closed";
    return;
  }
  ssl_ = tls_internal::make_connection(context_.get(), fd_.get(), options);
  ERR_clear_error();
  const auto outcome = tls_internal::judge(ssl_.get(), SSL_do_handshake(ssl_.get()));
  if (outcome) {
    handshake_ = *outcome;
  } else {
    handshake_.error = "timed out";
  }
  handshake_.took = time.elapsed();
}

TlsClient::~TlsClient() = default;

bool TlsClient::write(std::string_view bytes) {
  if (!handshake_.done) return false;
  while (!bytes.empty()) {
    ERR_clear_error();
    const int n = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::optional<std::string> TlsClient::read() {
  if (!handshake_.done) return std::nullopt;
  std::string buffer(16384, '\0');
  ERR_clear_error();
  const int n = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
  if (n <= 0) {
    if (SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN) return "";
    return std::nullopt;
  }
  buffer.resize(static_cast<size_t>(n));
  return buffer;
}

void TlsClient::finish_writing() {
  SSL_shutdown(ssl_.get());
}

TlsSession TlsClient::session() const {
  SSL_SESSION* session = ssl_ ? tls_internal::newest_session(ssl_.get()) : nullptr;
  if (session == nullptr) return nullptr;
  SSL_SESSION_up_ref(session);
  return TlsSession(session, SSL_SESSION_free);
}

}  // namespace latchkey::test
