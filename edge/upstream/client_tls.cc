#include "edge/upstream/client_tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <utility>

#include "base/check.h"

namespace latchkey::edge {
namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

struct Deleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

Error unusable(const char* what) {
  ERR_clear_error();
  return {ErrorCode::kInvalid, what};
}

Owned<BIO> reader(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Owned<X509> next_certificate(BIO* from) {
  return Owned<X509>(PEM_read_bio_X509(from, nullptr, nullptr, nullptr));
}

Result<> trust(SSL_CTX* context, const std::optional<std::string>& ca) {
  if (!ca) {
    if (SSL_CTX_load_verify_locations(context, kSystemAuthorities, nullptr) == 1) return Unit{};
    return unusable(
        "the system's authorities cannot be read (Debian: install ca-certificates), and no ca_file "
        "is named");
  }
  const Owned<BIO> bio = reader(*ca);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  while (const auto certificate = next_certificate(bio.get())) {
    count += X509_STORE_add_cert(store, certificate.get()) == 1 ? 1 : 0;
  }
  ERR_clear_error();
  if (count == 0) return unusable("ca_file: no certificate (PEM) is in it");
  return Unit{};
}

Result<> present(SSL_CTX* context, const ClientTlsOptions& options) {
  if (options.certificate.empty()) return Unit{};
  const Owned<BIO> chain = reader(options.certificate);
  const auto leaf = next_certificate(chain.get());
  if (leaf == nullptr || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return unusable("cert_file: no certificate (PEM) that can be used is in it");
  }
  while (const auto issuer = next_certificate(chain.get())) {
    if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1) {
      return unusable("cert_file: a certificate of its chain cannot be used");
    }
  }
  ERR_clear_error();
  const Owned<BIO> bio = reader(options.key);
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr) return unusable("key_file: no private key (PEM, not encrypted) is in it");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return unusable("key_file: it is not the key of the certificate in cert_file");
  }
  return Unit{};
}

std::string digest(const ClientTlsOptions& options) {
  std::string all;
  for (const std::string& part : {options.ca ? "+" + *options.ca : std::string("-"),
                                  options.server_name, options.certificate, options.key}) {
    all.append(std::to_string(part.size())).append(":").append(part);
  }
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const uint8_t*>(all.data()), all.size(), hash.data());
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

bool is_address(const std::string& host) {
  in6_addr raw{};
  return inet_pton(AF_INET, host.c_str(), &raw) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &raw) == 1;
}

}  // namespace

ClientTls::ClientTls(ssl_ctx_st* context, std::string server_name, std::string identity,
                     std::string trouble)
    : context_(context),
      server_name_(std::move(server_name)),
      identity_(std::move(identity)),
      trouble_(std::move(trouble)) {}

ClientTls::~ClientTls() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<const ClientTls>> ClientTls::make(const ClientTlsOptions& options) {
  Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  if (auto ok = trust(context.get(), options.ca); !ok) return std::move(ok).error();
  if (auto ok = present(context.get(), options); !ok) return std::move(ok).error();
  return std::shared_ptr<const ClientTls>(
      new ClientTls(context.release(), options.server_name, digest(options), ""));
}

std::shared_ptr<const ClientTls> ClientTls::unusable(std::string why) {
  std::string identity = "unusable: " + why;
  return std::shared_ptr<const ClientTls>(
      new ClientTls(nullptr, "", std::move(identity), std::move(why)));
}

ssl_st* ClientTls::make_ssl(const std::string& host, bool offer_http2) const {
  SSL* ssl = SSL_new(context_);
  CHECK(ssl != nullptr);
  static constexpr std::array<uint8_t, 12> kBoth{2,   'h', '2', 8,   'h', 't',
                                                 't', 'p', '/', '1', '.', '1'};
  const size_t from = offer_http2 ? 0 : 3;
  SSL_set_alpn_protos(ssl, kBoth.data() + from, kBoth.size() - from);
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* const verify = SSL_get0_param(ssl);
  if (is_address(host)) {
    CHECK(X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1);
    return ssl;
  }
  // RFC 9525, 6.4: what is in the subject counts no more.
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_host(verify, host.data(), host.size()) == 1 &&
      SSL_set_tlsext_host_name(ssl, host.c_str()) == 1) {
    return ssl;
  }
  ERR_clear_error();
  SSL_free(ssl);
  return nullptr;
}

}  // namespace latchkey::edge
