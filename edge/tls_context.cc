#include "edge/tls_context.h"

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/cipher.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "base/check.h"
#include "edge/certificate_compression.h"
#include "edge/ticket_keys.h"

namespace latchkey::edge {
namespace {

constexpr char kCiphers12[] =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-RSA-AES128-GCM-SHA256|"
    "ECDHE-RSA-CHACHA20-POLY1305]:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

// Not by ex_data: that would cost each connection two allocations more, and 128 bytes.
HelloHandler& handler_of(const SSL* ssl) {
  return static_cast<TlsPeer*>(BIO_get_data(SSL_get_rbio(ssl)))->handler;
}

// This callback can only reject with handshake_failure. So a refusal counts as success here, and
// on_server_name, which comes next, sends the alert that we want.
ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO* hello) {
  switch (handler_of(hello->ssl).on_client_hello(*hello)) {
    case HelloHandler::Answer::kPark:
      return ssl_select_cert_retry;
    case HelloHandler::Answer::kServe:
    case HelloHandler::Answer::kRefuse:
      break;
  }
  return ssl_select_cert_success;
}

int on_server_name(SSL* ssl, int* out_alert, void*) {
  const int alert = handler_of(ssl).alert();
  if (alert == 0) return SSL_TLSEXT_ERR_OK;
  *out_alert = alert;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Our preference goes before the client's.
int on_alpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned in_size,
            void*) {
  static constexpr uint8_t kHttp[] = "\x02h2\x08http/1.1";
  static constexpr uint8_t kChallenge[] =
      "\x0a"
      "acme-tls/1";
  const bool challenge = handler_of(ssl).answers_challenge();
  const uint8_t* const ours = challenge ? kChallenge : kHttp;
  const unsigned size = (challenge ? sizeof kChallenge : sizeof kHttp) - 1;
  uint8_t* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, ours, size, in, in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol, RFC 7301, 3.2
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int keys_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// 0: the ticket is of no use; 1: it is; 2: it is, and another one is to be given out.
int on_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* mac,
              int sealing) {
  SSL_CTX* const context = SSL_get_SSL_CTX(ssl);
  const auto& keys = *static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(context, keys_index()));
  TicketKeys::Found use{};
  if (sealing != 0) {
    use = {keys.newest(), true};
    std::copy(use.key.name.begin(), use.key.name.end(), name);
    RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc()));
  } else {
    auto found = keys.find(std::span<const uint8_t, 16>(name, 16));
    if (!found) return 0;
    use = *found;
  }
  const bool ready =
      EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, use.key.cipher.data(), iv, sealing) !=
          0 &&
      HMAC_Init_ex(mac, use.key.mac.data(), use.key.mac.size(), EVP_sha256(), nullptr) != 0;
  OPENSSL_cleanse(&use.key, sizeof use.key);
  if (!ready) return -1;
  return use.newest ? 1 : 2;
}

int compression_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int on_compress(SSL* ssl, CBB* out, const uint8_t* message, size_t size) {
  auto& compression = *static_cast<CertificateCompression*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), compression_index()));
  const auto bytes = compression.compress({reinterpret_cast<const char*>(message), size});
  if (bytes == nullptr) return 0;
  return CBB_add_bytes(out, reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size());
}

}  // namespace

TlsContext::TlsContext(const TlsPolicy& policy)
    : context_(SSL_CTX_new(TLS_server_method())), clients_(policy.clients) {
  CHECK(context_ != nullptr);
  CHECK(
      SSL_CTX_set_min_proto_version(context_, policy.only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION));
  CHECK(SSL_CTX_set_strict_cipher_list(
      context_, policy.ciphers.empty() ? kCiphers12 : policy.ciphers.c_str()));
  const std::string& groups = policy.groups.empty() ? default_groups() : policy.groups;
  CHECK(SSL_CTX_set1_curves_list(context_, groups.c_str()));
  if (clients_ != nullptr) clients_->install(*context_);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_select_certificate_cb(context_, on_hello);
  SSL_CTX_set_tlsext_servername_callback(context_, on_server_name);
  SSL_CTX_set_alpn_select_cb(context_, on_alpn, nullptr);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

void TlsContext::use_ticket_keys(const TicketKeys& keys) {
  CHECK(SSL_CTX_set_ex_data(context_, keys_index(), const_cast<TicketKeys*>(&keys)));
  CHECK(SSL_CTX_set_tlsext_ticket_key_cb(context_, on_ticket));
}

void TlsContext::use_compression(CertificateCompression& compression) {
  CHECK(SSL_CTX_set_ex_data(context_, compression_index(), &compression));
  // We never take a compressed one: those of clients come plain.
  CHECK(SSL_CTX_add_cert_compression_alg(context_, TLSEXT_cert_compression_brotli, on_compress,
                                         nullptr));
}

ssl_st* TlsContext::make_ssl() const {
  SSL* ssl = SSL_new(context_);
  CHECK(ssl != nullptr);
  SSL_set_accept_state(ssl);
  SSL_set_shed_handshake_config(ssl, 1);
  return ssl;
}

}  // namespace latchkey::edge
