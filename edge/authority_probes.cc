#include "edge/authority_probes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "acme/ca_url.h"
#include "acme/ip_identifier.h"
#include "base/check.h"
#include "base/curl_http_client.h"
#include "base/pending.h"
#include "base/resolver.h"
#include "base/within.h"
#include "edge/plain_socket.h"
#include "edge/upstream/client_tls_socket.h"

namespace latchkey::edge {
namespace {

constexpr Millis kLimit{10'000};     // of a look
constexpr Millis kDialLimit{2'400};  // so that all addresses have their turn
constexpr Millis kLookupLimit{4'000};
constexpr Millis kHttpLimit = kLimit - kLookupLimit;
constexpr size_t kMaxBody = 64 << 10;
constexpr size_t kMaxTried = 4;    // addresses of a name
constexpr size_t kMaxAliases = 8;  // CNAMEs, one leading to the next
constexpr std::string_view kAlpn =
    "\x0a"
    "acme-tls/1";

struct ContextFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, ContextFree>;

// BoringSSL does not look into the certificate: who shows it may be anybody, and what it must say
// is not its business.
Context make_context() {
  Context context(SSL_CTX_new(TLS_with_buffers_method()));
  CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER,
                            [](SSL*, uint8_t*) { return ssl_verify_ok; });
  CHECK(SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const uint8_t*>(kAlpn.data()),
                                kAlpn.size()) == 0);
  return context;
}

bool is_link_local(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 16 == 0xa9fe;
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return true;  // with a zone
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 0xa9 && v6.s6_addr[13] == 0xfe;
  return IN6_IS_ADDR_LINKLOCAL(&v6);
}

std::string joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses) text += (text.empty() ? "" : ", ") + address;
  return text;
}

Task<std::unique_ptr<PlainSocket>> dial(uv_loop_t& loop, std::string address, uint16_t port) {
  Pending<std::unique_ptr<PlainSocket>> connected;
  const Dial dialing(loop, address, port,
                     [&connected](auto s) { connected.resolve(std::move(s)); });
  Result<std::unique_ptr<PlainSocket>> socket = co_await connected;
  co_return socket;
}

template <typename T>
Task<T> limited(Clock& clock, Millis limit, Task<T> task) {
  T value = co_await within(clock, limit, std::move(task));
  co_return value;
}

// The leaf that the server showed once the handshake is over, DER.
Task<std::string> shake_hands(ClientTlsSocket& socket, ssl_st* ssl) {
  Pending<> done;
  socket.handshake([&done](const std::string& why) {
    if (why.empty()) return done.resolve(Unit{});
    done.resolve(Error{ErrorCode::kProtocol, why});
  });
  const Result<> ok = co_await done;
  if (!ok) co_return ok.error();
  const uint8_t* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &chosen, &size);
  if (std::string_view(reinterpret_cast<const char*>(chosen), size) != kAlpn.substr(1)) {
    co_return Error{ErrorCode::kProtocol,
                    "it did not choose acme-tls/1 by ALPN: it does not answer the challenge"};
  }
  const STACK_OF(CRYPTO_BUFFER)* const chain = SSL_get0_peer_certificates(ssl);
  if (chain == nullptr || sk_CRYPTO_BUFFER_num(chain) == 0) {
    co_return Error{ErrorCode::kProtocol, "it showed no certificate"};
  }
  const CRYPTO_BUFFER* const leaf = sk_CRYPTO_BUFFER_value(chain, 0);
  co_return std::string(reinterpret_cast<const char*>(CRYPTO_BUFFER_data(leaf)),
                        CRYPTO_BUFFER_len(leaf));
}

}  // namespace

struct AuthorityProbes::Impl {
  Impl(uv_loop_t& l, Clock& c, const std::string& resolvers)
      : loop(l), clock(c), resolver(l, resolver_options(resolvers)), http(l, http_options()) {}

  static Resolver::Options resolver_options(const std::string& resolvers) {
    Resolver::Options options;
    options.servers = resolvers;
    options.search = false;
    options.limit = kLookupLimit;
    return options;
  }
  static CurlHttpClient::Options http_options() {
    CurlHttpClient::Options options;
    options.user_agent = "latchkey-authority";
    options.probing = true;
    return options;
  }

  // Whatever goes wrong: it is the name's DNS.
  Task<std::vector<std::string>> addresses(std::string host) {
    Result<std::vector<std::string>> found = co_await resolver.addresses(host).result();
    if (!found) co_return Error{ErrorCode::kNotFound, std::move(found).error().message};
    // Services of a cloud's machines (RFC 3927 addresses) are nobody's domain.
    std::erase_if(*found, [](const std::string& address) { return is_link_local(address); });
    if (found->empty()) {
      co_return Error{ErrorCode::kNotFound, host + " has link-local addresses only"};
    }
    if (found->size() > kMaxTried) found->resize(kMaxTried);
    co_return found;
  }

  Task<HttpReply> get(std::string url) {
    HttpRequest request;
    request.addresses = co_await addresses(acme::host_of(url));
    request.timeout = kHttpLimit;
    request.url = std::move(url);
    request.max_body = kMaxBody;
    request.truncate_body = true;
    request.http_on_loopback_only = false;
    const std::string where = joined(request.addresses);
    Result<HttpReply> reply = co_await http.send(std::move(request)).result();
    if (!reply) {
      Error error = std::move(reply).error();
      error.message += " (at " + where + ")";
      co_return error;
    }
    co_return reply;
  }

  // kIo, kTimeout: no connection; kProtocol: no such handshake.
  Task<std::string> leaf_at(std::string address, uint16_t port, std::string sni,
                            uint16_t max_version) {
    Task<std::unique_ptr<PlainSocket>> dialing = dial(loop, std::move(address), port);
    std::unique_ptr<PlainSocket> socket = co_await limited(clock, kDialLimit, std::move(dialing));
    ssl_st* const ssl = SSL_new(context.get());
    CHECK(ssl != nullptr);
    SSL_set_connect_state(ssl);
    CHECK(SSL_set_max_proto_version(ssl, max_version) == 1);
    SSL_set_enforce_rsa_key_usage(ssl, 0);
    CHECK(SSL_set_tlsext_host_name(ssl, sni.c_str()) == 1);
    ClientTlsSocket tls(std::move(socket), clock, *ssl);
    Result<std::string> leaf = co_await shake_hands(tls, ssl).result();
    co_return leaf;
  }

  // Another address is tried where no connection is had: a server that answers is the server.
  Task<std::string> acme_tls(ServerName name, uint16_t port) {
    const std::vector<std::string> tried = co_await addresses(name.text());
    const std::string sni = name.is_ip() ? acme::reverse_name(name).text() : name.text();
    std::string why;
    for (const std::string& address : tried) {
      Result<std::string> leaf = co_await leaf_at(address, port, sni, TLS1_3_VERSION).result();
      // With TLS 1.3 BoringSSL takes no key that must not sign. lego's challenge certificates say
      // that theirs must not.
      if (!leaf && leaf.error().message.find("KEY_USAGE") != std::string::npos) {
        leaf = co_await leaf_at(address, port, sni, TLS1_2_VERSION).result();
      }
      if (leaf) co_return leaf;
      Error error = std::move(leaf).error().in(address);
      if (error.code == ErrorCode::kProtocol) co_return error;
      why += (why.empty() ? "" : "; ") + error.message;
    }
    co_return Error{ErrorCode::kIo, "no connection: " + why};
  }

  Task<std::vector<std::string>> txt(std::string name) {
    for (size_t aliases = 0; aliases <= kMaxAliases; ++aliases) {
      std::vector<std::string> records =
          co_await resolver.records(name, Resolver::RecordType::kTxt);
      if (!records.empty()) co_return records;
      const std::vector<std::string> alias =
          co_await resolver.records(name, Resolver::RecordType::kCname);
      if (alias.empty()) co_return records;
      name = alias.front();
    }
    co_return Error{ErrorCode::kProtocol, "more than " + std::to_string(kMaxAliases) +
                                              " CNAMEs, one leading to the next"};
  }

  uv_loop_t& loop;
  Clock& clock;
  Resolver resolver;
  CurlHttpClient http;
  const Context context = make_context();
};

AuthorityProbes::AuthorityProbes(uv_loop_t& loop, Clock& clock, const std::string& resolvers)
    : impl_(std::make_unique<Impl>(loop, clock, resolvers)) {}

AuthorityProbes::~AuthorityProbes() = default;

Task<HttpReply> AuthorityProbes::get(std::string url) {
  return impl_->get(std::move(url));
}

Task<std::string> AuthorityProbes::acme_tls(ServerName name, uint16_t port) {
  Task<std::string> looking = impl_->acme_tls(name, port);
  Result<std::string> leaf = co_await limited(impl_->clock, kLimit, std::move(looking)).result();
  if (leaf) co_return leaf;
  co_return std::move(leaf).error().in("TLS with " + name.text() + ", port " +
                                       std::to_string(port));
}

Task<std::vector<std::string>> AuthorityProbes::txt(std::string name) {
  Task<std::vector<std::string>> looking = impl_->txt(name);
  Result<std::vector<std::string>> records =
      co_await limited(impl_->clock, kLimit, std::move(looking)).result();
  if (records) co_return records;
  co_return std::move(records).error().in("TXT records of " + name);
}

}  // namespace latchkey::edge
