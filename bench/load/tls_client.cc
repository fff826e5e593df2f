#include "bench/load/tls_client.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "bench/load/tls_connection.h"

namespace latchkey::bench {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  if (address.ss_family != AF_INET6) return false;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return v6.sin6_addr.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

std::string numeric(const sockaddr_storage& address, socklen_t size, uint16_t port) {
  char host[NI_MAXHOST] = "?";
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, nullptr, 0,
              NI_NUMERICHOST);
  const std::string text = address.ss_family == AF_INET6 ? "[" + std::string(host) + "]" : host;
  return text + ":" + std::to_string(port);
}

// "h2,http/1.1" as ALPN writes it; empty: not possible.
std::vector<uint8_t> alpn_wire(const std::string& list) {
  std::vector<uint8_t> wire;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end == begin || end - begin > 255) return {};
    wire.push_back(static_cast<uint8_t>(end - begin));
    wire.insert(wire.end(), list.begin() + static_cast<ptrdiff_t>(begin),
                list.begin() + static_cast<ptrdiff_t>(end));
    begin = end + 1;
  }
  return wire;
}

// Null: it worked.
const char* apply(SSL_CTX* context, const TlsSettings& settings) {
  using Version = TlsSettings::Version;
  const uint16_t min = settings.version == Version::kTls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const uint16_t max = settings.version == Version::kTls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (!SSL_CTX_set_min_proto_version(context, min) ||
      !SSL_CTX_set_max_proto_version(context, max)) {
    return "--tls: this TLS library does not have that version";
  }
  if (!settings.groups.empty() && !SSL_CTX_set1_curves_list(context, settings.groups.c_str())) {
    return "--groups: expected names of groups between colons, such as X25519:P-256";
  }
  if (!settings.ciphers.empty() &&
      !SSL_CTX_set_strict_cipher_list(context, settings.ciphers.c_str())) {
    return "--ciphers: expected OpenSSL's names of TLS 1.2 ciphers, between colons";
  }
  if (!settings.alpn.empty()) {
    const std::vector<uint8_t> wire = alpn_wire(settings.alpn);
    // This one returns 0 for success.
    if (wire.empty() || SSL_CTX_set_alpn_protos(context, wire.data(), wire.size()) != 0) {
      return "--alpn: expected names of protocols between commas, such as h2,http/1.1";
    }
  }
  if (settings.ca_file.empty()) {
    SSL_CTX_set_custom_verify(context, SSL_VERIFY_NONE,
                              [](SSL*, uint8_t*) { return ssl_verify_ok; });
  } else {
    if (!SSL_CTX_load_verify_locations(context, settings.ca_file.c_str(), nullptr)) {
      return "--ca: expected a readable file with certificates in PEM";
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  return nullptr;
}

}  // namespace

Result<Endpoint> resolve_target(const std::string& text) {
  const size_t colon = text.rfind(':');
  Endpoint target;
  target.text = text;
  const std::string form = "--target: expected HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443";
  if (colon == std::string::npos || colon == 0) return invalid(form + ", got \"" + text + "\"");
  target.host = text.substr(0, colon);
  if (target.host.starts_with('[') && target.host.ends_with(']')) {
    target.host = target.host.substr(1, target.host.size() - 2);
  } else if (target.host.find(':') != std::string::npos) {
    return invalid(form + ", got \"" + text + "\"");
  }
  const char* const end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data() + colon + 1, end, target.port);
  if (failed != std::errc() || stop != end || target.port == 0) {
    return invalid("--target: expected a port from 1 to 65535 behind the last colon, got \"" +
                   text + "\"");
  }

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(target.port);
  const int error = getaddrinfo(target.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return Error{ErrorCode::kNotFound, "--target: no address of \"" + target.host +
                                           "\" is known: " + gai_strerror(error)};
  }
  target.address_size = found->ai_addrlen;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  target.loopback = is_loopback(target.address);
  target.numeric = numeric(target.address, target.address_size, target.port);
  return target;
}

TlsClient::TlsClient(TlsSettings settings, Endpoint target, ssl_ctx_st* context)
    : settings_(std::move(settings)), target_(std::move(target)), context_(context) {}

TlsClient::TlsClient(TlsClient&& other) noexcept
    : settings_(std::move(other.settings_)),
      target_(std::move(other.target_)),
      context_(std::exchange(other.context_, nullptr)) {}

TlsClient::~TlsClient() {
  SSL_CTX_free(context_);
}

Result<TlsClient> TlsClient::make(const TlsSettings& settings, Endpoint target) {
  ERR_clear_error();
  // Certificates that nobody looks at are not parsed either.
  const SSL_METHOD* method = settings.ca_file.empty() ? TLS_with_buffers_method() : TLS_method();
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(method));
  if (!context) return Error{ErrorCode::kIo, "TLS: no memory for a context"};
  if (const char* wrong = apply(context.get(), settings)) return invalid(wrong);
  if (settings.tickets) {
    SSL_CTX_set_session_cache_mode(context.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), TlsConnection::on_new_session);
  }
  return TlsClient(settings, std::move(target), context.release());
}

}  // namespace latchkey::bench
