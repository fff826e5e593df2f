#include "edge/hello.h"

#include <openssl/bytestring.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"

namespace latchkey::edge {
namespace {

// RFC 7301, 3.1. BoringSSL refuses a malformed list later; here it only counts as no acme-tls/1.
void read_alpn(const SSL_CLIENT_HELLO& hello, Hello& out) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!SSL_early_callback_ctx_extension_get(
          &hello, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &size)) {
    return;
  }
  CBS extension, list, protocol;
  CBS_init(&extension, data, size);
  if (!CBS_get_u16_length_prefixed(&extension, &list)) return;
  size_t count = 0;
  while (CBS_len(&list) > 0 && CBS_get_u8_length_prefixed(&list, &protocol)) {
    ++count;
    static constexpr std::string_view kChallenge = "acme-tls/1";
    if (CBS_mem_equal(&protocol, reinterpret_cast<const uint8_t*>(kChallenge.data()),
                      kChallenge.size())) {
      out.wants_challenge = true;
    }
  }
  out.only_challenge = out.wants_challenge && count == 1;
}

void bind_to_text(ssl_st* ssl, std::string_view text) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  static_assert(sizeof digest <= SSL_MAX_SID_CTX_LENGTH);
  CHECK(SSL_set_session_id_context(ssl, digest, sizeof digest) == 1);
}

}  // namespace

Hello read_hello(const ssl_early_callback_ctx& hello, ServerNameRules rules) {
  Hello out;
  read_alpn(hello, out);
  // BoringSSL has parsed the extension: one host_name, no NUL, at most 255 bytes.
  const char* name = SSL_get_servername(hello.ssl, TLSEXT_NAMETYPE_host_name);
  out.has_server_name = name != nullptr;
  if (name != nullptr) {
    // RFC 6066, 3: without a trailing dot. Some clients send one all the same.
    if (auto parsed = ServerName::parse(name, rules)) out.server_name = *std::move(parsed);
  }
  return out;
}

void bind_session_to(ssl_st* ssl, const ServerName& name) {
  bind_to_text(ssl, name.text());
}

// What no name can be.
void bind_session_to_nobody(ssl_st* ssl) {
  bind_to_text(ssl, "(no name)");
}

void allow_no_session(ssl_st* ssl) {
  bind_to_text(ssl, "(no session)");
  SSL_set_options(ssl, SSL_OP_NO_TICKET);
}

bool is_self_signed(const Certificate& certificate) {
  if (certificate.chain().size() != 1) return false;
  const bssl::UniquePtr<X509> leaf(X509_parse_from_buffer(certificate.chain().front()));
  return leaf != nullptr &&
         X509_NAME_cmp(X509_get_subject_name(leaf.get()), X509_get_issuer_name(leaf.get())) == 0;
}

}  // namespace latchkey::edge
