#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/slot.h"

struct ssl_early_callback_ctx;
struct ssl_st;

namespace latchkey::edge {

// What a ClientHello says that decides about its certificate.
struct Hello {
  bool has_server_name = false;
  std::optional<ServerName> server_name;  // none when it broke a rule
  bool wants_challenge = false;           // offers acme-tls/1
  bool only_challenge = false;            // ... and nothing else, as RFC 8737 demands
  // Which of our certificates its signature_algorithms (RFC 8446, 4.2.3; in TLS 1.2 its cipher
  // suites and groups, too) allow. ECDSA: with P-256, which our keys are unless somebody says
  // otherwise.
  bool can_ecdsa = true;
  bool can_rsa = true;
  uint16_t version = 0;       // the highest that it offers: 0x0303 for TLS 1.2
  bool wants_staple = false;  // RFC 6066, 8: an OCSP response

  // The certificate for this client: who can do neither gets the one that he cannot use, and with
  // it BoringSSL's alert.
  Slot slot() const { return can_ecdsa || !can_rsa ? Slot::kMain : Slot::kRsa; }
};

Hello read_hello(const ssl_early_callback_ctx& hello, ServerNameRules rules);

// Binds tickets to the name: one made for another name, or by another program, is not resumed, nor
// one that was made under other rules for clients' certificates (ClientCertificates::id(); "": the
// client is asked for none).
void bind_session_to(ssl_st* ssl, const ServerName& name, std::string_view rules = {});
// The same for a handshake without a name.
void bind_session_to_nobody(ssl_st* ssl, std::string_view rules = {});
// For what is served only until there is better (a parking page, an expired certificate or what
// stands in for it): no ticket is made, none is taken, not even one of the name's own.
void allow_no_session(ssl_st* ssl);

// Hands the certificate's OCSP response, if it has one that is good, to a client that wants it.
// False: there is none.
bool staple(ssl_st* ssl, const Certificate& certificate, WallTime now);

// A leaf that names itself as its issuer: nobody's word but ours.
bool is_self_signed(const Certificate& certificate);

}  // namespace latchkey::edge
