#include "edge/hello.h"

#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <span>

#include "base/check.h"

namespace latchkey::edge {
namespace {

using Bytes = std::span<const uint8_t>;

uint16_t u16_at(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// What is behind a length of one or two bytes; empty if the bytes are fewer. What is malformed
// BoringSSL refuses later.
Bytes behind_u8(Bytes bytes) {
  if (bytes.empty() || bytes.size() - 1 < bytes[0]) return {};
  return bytes.subspan(1, bytes[0]);
}
Bytes behind_u16(Bytes bytes) {
  if (bytes.size() < 2 || bytes.size() - 2 < u16_at(bytes, 0)) return {};
  return bytes.subspan(2, u16_at(bytes, 0));
}

// The extensions that we look at. Found in one pass by ourselves: BoringSSL's own search costs a
// pass for each, and every handshake pays for it.
struct Extensions {
  std::optional<Bytes> alpn, schemes, groups, versions, status;

  explicit Extensions(const SSL_CLIENT_HELLO& hello) {
    Bytes left(hello.extensions, hello.extensions_len);
    while (left.size() >= 4) {
      const uint16_t type = u16_at(left, 0);
      const size_t size = u16_at(left, 2);
      if (left.size() - 4 < size) return;
      const Bytes body = left.subspan(4, size);
      left = left.subspan(4 + size);
      switch (type) {
        case TLSEXT_TYPE_application_layer_protocol_negotiation:
          alpn = body;
          break;
        case TLSEXT_TYPE_signature_algorithms:
          schemes = body;
          break;
        case TLSEXT_TYPE_supported_groups:
          groups = body;
          break;
        case TLSEXT_TYPE_supported_versions:
          versions = body;
          break;
        case TLSEXT_TYPE_status_request:
          status = body;
          break;
        default:
          break;
      }
    }
  }
};

// RFC 7301, 3.1.
void read_alpn(Bytes extension, Hello& out) {
  size_t count = 0;
  for (Bytes list = behind_u16(extension); !list.empty(); ++count) {
    const Bytes protocol = behind_u8(list);
    if (protocol.empty()) return;
    list = list.subspan(1 + protocol.size());
    static constexpr std::string_view kChallenge = "acme-tls/1";
    if (std::equal(protocol.begin(), protocol.end(), kChallenge.begin(), kChallenge.end())) {
      out.wants_challenge = true;
    }
  }
  out.only_challenge = out.wants_challenge && count == 1;
}

// Does a list of 16-bit values have one that `wanted` is true of?
template <typename Wanted>
bool has_u16(Bytes list, Wanted wanted) {
  for (size_t at = 0; at + 2 <= list.size(); at += 2) {
    if (wanted(u16_at(list, at))) return true;
  }
  return false;
}

// RFC 8446, 4.2.1: where there is the extension, the version in the hello says nothing.
uint16_t highest_version(const SSL_CLIENT_HELLO& hello, const Extensions& extensions) {
  if (!extensions.versions) return std::min<uint16_t>(hello.version, TLS1_2_VERSION);
  uint16_t highest = 0;
  has_u16(behind_u8(*extensions.versions), [&](uint16_t version) {
    if (version <= TLS1_3_VERSION) highest = std::max(highest, version);
    return false;
  });
  return highest;
}

// In TLS 1.2 a certificate goes with cipher suites; all of ours need a group in common, too.
void read_tls12(const SSL_CLIENT_HELLO& hello, const Extensions& extensions, Hello& out) {
  const bool shared_group =
      extensions.groups && has_u16(behind_u16(*extensions.groups), [](uint16_t group) {
        return group == SSL_CURVE_X25519 || group == SSL_CURVE_SECP256R1 ||
               group == SSL_CURVE_SECP384R1;
      });
  const Bytes offered(hello.cipher_suites, hello.cipher_suites_len);
  bool ecdsa = false, rsa = false;
  const STACK_OF(SSL_CIPHER)* const ours = SSL_get_ciphers(hello.ssl);
  for (size_t i = 0; shared_group && i < sk_SSL_CIPHER_num(ours); ++i) {
    const SSL_CIPHER* const cipher = sk_SSL_CIPHER_value(ours, i);
    bool& with = SSL_CIPHER_get_auth_nid(cipher) == NID_auth_ecdsa ? ecdsa : rsa;
    if (with) continue;
    const uint16_t id = SSL_CIPHER_get_protocol_id(cipher);
    with = has_u16(offered, [id](uint16_t suite) { return suite == id; });
  }
  out.can_ecdsa = out.can_ecdsa && ecdsa;
  out.can_rsa = out.can_rsa && rsa;
}

// RFC 8446, 4.2.3. Which keys each scheme is for: in TLS 1.3 a curve's alone, and no PKCS #1.
void read_signatures(const SSL_CLIENT_HELLO& hello, const Extensions& extensions, Hello& out) {
  const bool tls13 = out.version == TLS1_3_VERSION;
  // RFC 5246, 7.4.1.4.1: without the extension SHA-1 with either key is meant. TLS 1.3 demands it.
  if (extensions.schemes) {
    const Bytes list = behind_u16(*extensions.schemes);
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
  if (!tls13) read_tls12(hello, extensions, out);
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
  const Extensions extensions(hello);
  if (extensions.alpn) read_alpn(*extensions.alpn, out);
  out.version = highest_version(hello, extensions);
  read_signatures(hello, extensions, out);
  out.wants_staple = extensions.status && !extensions.status->empty() &&
                     extensions.status->front() == TLSEXT_STATUSTYPE_ocsp;
  // BoringSSL has parsed the extension: one host_name, no NUL, at most 255 bytes.
  const char* name = SSL_get_servername(hello.ssl, TLSEXT_NAMETYPE_host_name);
  out.has_server_name = name != nullptr;
  if (name != nullptr) {
    // RFC 6066, 3: without a trailing dot. Some clients send one all the same.
    if (auto parsed = ServerName::parse(name, rules)) out.server_name = *std::move(parsed);
  }
  return out;
}

void bind_session_to(ssl_st* ssl, const ServerName& name, std::string_view rules) {
  bind_to_text(ssl, rules.empty() ? name.text() : name.text() + "\n" + std::string(rules));
}

// What no name can be.
void bind_session_to_nobody(ssl_st* ssl, std::string_view rules) {
  bind_to_text(ssl, rules.empty() ? "(no name)" : "(no name)\n" + std::string(rules));
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
