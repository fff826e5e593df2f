#include "edge/hello.h"

#include <openssl/bytestring.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"

namespace latchkey::edge {
namespace {

std::optional<CBS> find_extension(const SSL_CLIENT_HELLO& hello, uint16_t type) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!SSL_early_callback_ctx_extension_get(&hello, type, &data, &size)) return std::nullopt;
  CBS out;
  CBS_init(&out, data, size);
  return out;
}

// RFC 7301, 3.1. BoringSSL refuses a malformed list later; here it only counts as no acme-tls/1.
void read_alpn(const SSL_CLIENT_HELLO& hello, Hello& out) {
  auto extension = find_extension(hello, TLSEXT_TYPE_application_layer_protocol_negotiation);
  CBS list, protocol;
  if (!extension || !CBS_get_u16_length_prefixed(&*extension, &list)) return;
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

// Does a list of 16-bit values have one that `wanted` is true of? What is malformed BoringSSL
// refuses later.
template <typename Wanted>
bool has_u16(CBS list, Wanted wanted) {
  uint16_t value = 0;
  while (CBS_get_u16(&list, &value)) {
    if (wanted(value)) return true;
  }
  return false;
}

bool offers_tls13(const SSL_CLIENT_HELLO& hello) {
  auto versions = find_extension(hello, TLSEXT_TYPE_supported_versions);
  CBS list;
  if (!versions || !CBS_get_u8_length_prefixed(&*versions, &list)) return false;
  return has_u16(list, [](uint16_t version) { return version == TLS1_3_VERSION; });
}

// In TLS 1.2 a certificate goes with cipher suites; all of ours need a group in common, too.
void read_tls12(const SSL_CLIENT_HELLO& hello, Hello& out) {
  bool shared_group = false;
  CBS list;
  auto groups = find_extension(hello, TLSEXT_TYPE_supported_groups);
  if (groups && CBS_get_u16_length_prefixed(&*groups, &list)) {
    shared_group = has_u16(list, [](uint16_t group) {
      return group == SSL_CURVE_X25519 || group == SSL_CURVE_SECP256R1 ||
             group == SSL_CURVE_SECP384R1;
    });
  }
  bool ecdsa = false, rsa = false;
  const STACK_OF(SSL_CIPHER)* const ours = SSL_get_ciphers(hello.ssl);
  for (size_t i = 0; shared_group && i < sk_SSL_CIPHER_num(ours); ++i) {
    const SSL_CIPHER* const cipher = sk_SSL_CIPHER_value(ours, i);
    bool& with = SSL_CIPHER_get_auth_nid(cipher) == NID_auth_ecdsa ? ecdsa : rsa;
    if (with) continue;
    CBS offered;
    CBS_init(&offered, hello.cipher_suites, hello.cipher_suites_len);
    const uint16_t id = SSL_CIPHER_get_protocol_id(cipher);
    with = has_u16(offered, [id](uint16_t suite) { return suite == id; });
  }
  out.can_ecdsa = out.can_ecdsa && ecdsa;
  out.can_rsa = out.can_rsa && rsa;
}

// RFC 8446, 4.2.3. Which keys each scheme is for: in TLS 1.3 a curve's alone, and no PKCS #1.
void read_signatures(const SSL_CLIENT_HELLO& hello, Hello& out) {
  const bool tls13 = offers_tls13(hello);
  CBS list;
  auto schemes = find_extension(hello, TLSEXT_TYPE_signature_algorithms);
  // RFC 5246, 7.4.1.4.1: without it SHA-1 with either key is meant. TLS 1.3 demands it.
  if (schemes && CBS_get_u16_length_prefixed(&*schemes, &list)) {
    out.can_ecdsa = has_u16(list, [tls13](uint16_t scheme) {
      return scheme == SSL_SIGN_ECDSA_SECP256R1_SHA256 ||
             (!tls13 &&
              (scheme == SSL_SIGN_ECDSA_SECP384R1_SHA384 ||
               scheme == SSL_SIGN_ECDSA_SECP521R1_SHA512 || scheme == SSL_SIGN_ECDSA_SHA1));
    });
    out.can_rsa = has_u16(list, [tls13](uint16_t scheme) {
      return scheme == SSL_SIGN_RSA_PSS_RSAE_SHA256 || scheme == SSL_SIGN_RSA_PSS_RSAE_SHA384 ||
             scheme == SSL_SIGN_RSA_PSS_RSAE_SHA512 ||
             (!tls13 &&
              (scheme == SSL_SIGN_RSA_PKCS1_SHA256 || scheme == SSL_SIGN_RSA_PKCS1_SHA384 ||
               scheme == SSL_SIGN_RSA_PKCS1_SHA512 || scheme == SSL_SIGN_RSA_PKCS1_SHA1));
    });
  }
  if (!tls13) read_tls12(hello, out);
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
  read_signatures(hello, out);
  uint8_t status_type = 0;
  auto status = find_extension(hello, TLSEXT_TYPE_status_request);
  out.wants_staple =
      status && CBS_get_u8(&*status, &status_type) && status_type == TLSEXT_STATUSTYPE_ocsp;
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

bool staple(ssl_st* ssl, const Certificate& certificate, WallTime now) {
  const StaplePtr& staple = certificate.staple();
  if (staple == nullptr || !staple->good_at(now)) return false;
  return SSL_set_ocsp_response(ssl, reinterpret_cast<const uint8_t*>(staple->der.data()),
                               staple->der.size()) == 1;
}

bool is_self_signed(const Certificate& certificate) {
  if (certificate.chain().size() != 1) return false;
  const bssl::UniquePtr<X509> leaf(X509_parse_from_buffer(certificate.chain().front()));
  return leaf != nullptr &&
         X509_NAME_cmp(X509_get_subject_name(leaf.get()), X509_get_issuer_name(leaf.get())) == 0;
}

}  // namespace latchkey::edge
